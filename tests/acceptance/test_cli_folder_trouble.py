"""Commands that meet an imports folder they cannot use say so in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance import command_line


@pytest.mark.parametrize(
    ("command", "trouble"),
    [
        (("status",), "The imports folder {path} cannot be listed: Not a directory."),
        (("status", "--json"), "The imports folder {path} cannot be listed: Not a directory."),
        (("sample",), "The samples cannot be copied into {path}: {path}: File exists."),
    ],
)
def test_an_imports_folder_that_is_a_file_is_one_clear_line(
    command: tuple[str, ...], trouble: str, tmp_path: Path, database: str
) -> None:
    shell = command_line.at(tmp_path, database)
    path = shell.write("imports.txt", "in the way")

    ended = shell.run(*command, IMPORTS_DIR=str(path))

    assert (ended.code, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert line.startswith("Error: " + trouble.format(path=path))
    assert line.endswith("or set IMPORTS_DIR to another one.")
