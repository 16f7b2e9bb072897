"""What the benchmarks of refresh, exports, memory and growth conclude from what they see."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from benchmarks import exports, growth, memory, refreshes, results

HOLDS_100_MB = "held = b'x' * 100_000_000; print('holds', flush=True); input()"
AS_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS_100_MB!r}])"


def test_more_milliseconds_are_by_medians_and_the_worst_by_the_run() -> None:
    bare = [0.3, 0.2, 0.4]
    measured = results.at_most_more("9", "refresh", [0.4, 0.5, 0.42], "--help", bare, 150)

    assert (measured.ours, measured.peer) == ("420 ms", "300 ms")
    assert (measured.figure, measured.worst) == ("+120 ms", "+300 ms")
    assert measured.is_met
    assert not results.at_most_more("9", "refresh", [0.46], "--help", [0.3], 150).is_met


def test_memory_is_judged_by_its_growth_and_by_its_size() -> None:
    measured = memory.compared(2, [200.0, 210.0, 190.0], 20, [220.0, 210.0, 230.0])

    assert (measured.ours, measured.peer) == ("220 MB", "200 MB")
    assert (measured.figure, measured.worst) == ("1.10 x", "1.21 x, 230 MB")
    assert measured.is_met
    assert not memory.compared(2, [200.0], 20, [240.0]).is_met
    assert not memory.compared(2, [390.0], 20, [401.0]).is_met


@pytest.mark.parametrize("program", [HOLDS_100_MB, AS_A_CHILD])
def test_peak_memory_counts_a_process_and_its_children(program: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"holds\n"
        peaks = [memory.peak_bytes(each) for each in memory.with_children(process.pid)]
        process.communicate(b"\n")

    assert 100_000_000 < sum(peaks) < 200_000_000


def test_trees_are_equal_when_their_numbers_are(tmp_path: Path) -> None:
    ours, theirs = write_tree(tmp_path / "ours", "1.50"), write_tree(tmp_path / "theirs", "1.5")

    exports.require_equal(exports.numbers_in(ours), exports.numbers_in(theirs))


@pytest.mark.parametrize("difference", ["a number", "a file"])
def test_trees_that_differ_are_not_measured(tmp_path: Path, difference: str) -> None:
    ours, theirs = write_tree(tmp_path / "ours", "1.5"), write_tree(tmp_path / "theirs", "1.5")
    last = theirs / "year=2015" / "file377.csv"
    if difference == "a number":
        last.write_text("mean_values\n1.6\n")
    else:
        last.unlink()

    with pytest.raises(RuntimeError, match="1 of 1134 files differ"):
        exports.require_equal(exports.numbers_in(ours), exports.numbers_in(theirs))


def write_tree(folder: Path, mean: str) -> Path:
    """Writes as many files as three years have."""
    for year in (2013, 2014, 2015):
        of_year = folder / f"year={year}"
        of_year.mkdir(parents=True)
        for number in range(365 + 12 + 1):
            (of_year / f"file{number}.csv").write_text(f"mean_values\n{mean}\n")
    return folder


def test_the_line_that_says_what_a_command_did_is_found_among_others() -> None:
    log = (
        '{"event": "something else", "seconds": 9}\n'
        '{"event": "derived tables refreshed", "seconds": 0.02, "days_covered": 1}\n'
    )

    assert refreshes.facts_of("refresh", log)["seconds"] == 0.02


def test_every_small_file_is_another_one_and_in_a_past_of_its_own() -> None:
    files = [growth.loans_file(number, index) for number in (1, 2) for index in range(400)]

    assert len({name for name, _ in files}) == len({content for _, content in files}) == 800
    days = [
        date.fromisoformat(text.split(",")[0])
        for _, content in files[:400]
        for text in content.decode().splitlines()[1:]
    ]
    assert len(set(days)) == 4_000
    assert max(days) < date(2023, 1, 1)


def test_every_small_month_is_fresh_again_after_it_was_forgotten() -> None:
    months = [Path(growth.small_month(index)[0]).stem for index in range(14)]

    assert months[0] == "entity_1990_01"
    assert months[13] == "entity_1991_02"
    drops = growth.forget_months(14)[:14]
    assert drops == [f"DROP TABLE IF EXISTS warehouse.{month}" for month in months]
