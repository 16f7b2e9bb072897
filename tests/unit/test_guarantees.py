"""docs/guarantees.md names tests that are there, and at least one for each promise."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docs" / "guarantees.md").read_text()
PROMISES, NOT_PROMISED = TEXT.split("# What is not promised")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


def names_in(path: Path) -> set[str]:
    """The names of the tests of a module, those of its classes too."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    }


@pytest.mark.parametrize("module", sorted({module for module, _ in NAMED}))
def test_every_test_that_is_named_is_there(module: str) -> None:
    path = PROJECT / module
    assert path.exists()
    named = {name for of_module, name in NAMED if of_module == module}
    assert named - names_in(path) == set()


def test_every_promise_names_a_test() -> None:
    promises = re.split(r"\n(?=\*\*)", PROMISES)[1:]
    assert len(promises) > 15
    assert [each.splitlines()[0] for each in promises if "::test" not in each] == []


def test_every_file_it_links_is_there() -> None:
    linked = re.findall(r"\]\(([^)#]+)", TEXT)
    assert linked
    assert [link for link in linked if not (PROJECT / "docs" / link).exists()] == []


def test_it_says_what_is_not_promised() -> None:
    assert len(re.findall(r"^- \*\*", NOT_PROMISED, re.MULTILINE)) > 10
