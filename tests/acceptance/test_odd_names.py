"""Files whose names are made to confuse: each loads, and no screen obeys them."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import loans_csv, some_loans
from tests.acceptance.front_door import Front

LONGEST_NAME_BYTES = 255

# The bytes of the name, and how it is shown, written by hand.
NAMES = {
    b"new\nline loans.csv": r"new\nline loans.csv",
    b"tab\t loans.csv": r"tab\t loans.csv",
    b"return\r loans.csv": r"return\r loans.csv",
    b"escape \x1b[31m loans.csv": r"escape \x1b[31m loans.csv",
    b"'single' \"double\" `back` loans.csv": "'single' \"double\" `back` loans.csv",
    b"--force loans.csv": "--force loans.csv",
    b"-loans.csv": "-loans.csv",
    b"$(touch loans) ; loans.csv": "$(touch loans) ; loans.csv",
    b"'); DROP TABLE ops.load; -- loans.csv": "'); DROP TABLE ops.load; -- loans.csv",
    b"[red]markup [bold] loans.csv": "[red]markup [bold] loans.csv",
    b"{braces} %s %(x)s loans.csv": "{braces} %s %(x)s loans.csv",
    b"*?[a-z] loans.csv": "*?[a-z] loans.csv",
    b"not utf-8 \xff\xe4 loans.csv": r"not utf-8 \xff\xe4 loans.csv",
    "right to left \u202evsc.snaol loans.csv".encode(): (
        r"right to left \u202evsc.snaol loans.csv"
    ),
    "marks \u200f\u2066\u200b\ufeff loans.csv".encode(): (
        r"marks \u200f\u2066\u200b\ufeff loans.csv"
    ),
    "ünï \U0001f4b6 貸付 loans.csv".encode(): "ünï \U0001f4b6 貸付 loans.csv",
    b"loans" + b"x" * 246 + b".csv": "loans" + "x" * 246 + ".csv",
    b"loans" + "ä".encode() * 123 + b".csv": "loans" + "ä" * 123 + ".csv",
    b"loans" + b"\xff" * 246 + b".csv": "loans" + r"\xff" * 246 + ".csv",
}


def is_harmless(text: str) -> bool:
    """Whether a terminal shows every character and obeys none."""
    return all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)


async def test_odd_names_load_and_are_shown_escaped_everywhere(front: Front, watch: Watch) -> None:
    # A name that is not UTF-8 breaks the watch, so that sweeps have to find the next ones.
    daemon = await watch(SWEEP_SECONDS="0.5")
    contents = {}
    for number, (name, shown) in enumerate(NAMES.items()):
        contents[shown] = loans_csv(some_loans(1 + number))
        path = front.settings.imports_dir / os.fsdecode(name)
        path.write_bytes(contents[shown])

    loads = {load["file_name"]: load for load in await front.filed(len(NAMES))}
    await daemon.wait_for("load finished", count=len(NAMES))

    assert {name: load["status"] for name, load in loads.items()} == dict.fromkeys(
        NAMES.values(), "loaded"
    )
    assert await front.loans() == some_loans(len(NAMES))
    for name, load in loads.items():
        path = Path(load["filed_path"])
        assert path.read_bytes() == contents[name]
        assert path.name.startswith(f"{load['load_id']}_")
        assert path.suffix == ".csv"
    kept = [Path(name).name for name in front.archived]
    assert len(kept) == len(NAMES)
    assert max(len(os.fsencode(name)) for name in kept) == LONGEST_NAME_BYTES
    assert all(is_harmless(name) for name in kept)
    finished = {each["load_id"]: each["file"] for each in daemon.events_named("load finished")}
    assert finished == {load["load_id"]: name for name, load in loads.items()}
    assert all(is_harmless(line) for line in daemon.lines)
    said = await front.status()
    assert {each["file_name"] for each in said["files"]} == set(NAMES.values())
    code, printed = await front.command("status", COLUMNS="2000")
    assert code == 0
    assert all(is_harmless(line) for line in printed.splitlines())
    assert [name for name in loads if name not in printed] == []


async def test_odd_names_that_are_refused_or_wait_are_shown_escaped_too(
    front: Front, watch: Watch
) -> None:
    odd = os.fsdecode(b"lo\xffans\n\xe2\x80\xae")
    shown = r"lo\xffans\n\u202e"
    daemon = await watch(SWEEP_SECONDS="0.5")
    (front.path(odd)).mkdir()
    (front.path(odd) / f"{odd}{'y' * 241}.csv").write_bytes(b"x\n")
    (front.path(f"{odd}.csv")).symlink_to("/etc/passwd")

    [refused] = await front.filed(1)
    await daemon.wait_for("entry is left alone")
    front.drop("loans.csv", loans_csv(some_loans(2)))
    [_, good] = await front.filed(2)
    code, printed = await front.command("status")

    assert (refused["file_name"], refused["folder"]) == (f"{shown}{'y' * 241}.csv", shown)
    assert refused["status"] == "quarantined"
    kept = sorted(front.quarantined)
    assert kept[1] == kept[0] + ".error.json"
    assert len(kept[1]) == LONGEST_NAME_BYTES
    note = json.loads(front.quarantined[kept[1]])
    assert (note["file_name"], note["reason"]) == (refused["file_name"], refused["error"])
    [alone] = daemon.events_named("entry is left alone")
    assert alone["file"] == f"{shown}.csv"
    assert (good["status"], code) == ("loaded", 0)
    assert f"{shown}.csv" in printed
    assert all(is_harmless(line) for line in [*daemon.lines, *printed.splitlines(), *kept])
