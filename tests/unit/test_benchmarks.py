"""The benchmarks' arithmetic, and that the measured files are what their lines say."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from benchmarks import bad_rows, files, flood, results, upserts
from benchmarks.results import Measured, Timer

LAST_DAY = date(2023, 5, 9)


def line(number: str, target: str = "≥ 2 x") -> Measured:
    return Measured(number, "work", "1 s", "2 s", "2 x", "1 x", target, True, "psql")


def test_faster_is_by_medians_and_its_worst_by_the_run() -> None:
    measured = results.faster("1", "a month", [1.0, 2.0, 4.0], "psql", [5.0, 3.0, 6.0], 2.5)

    assert (measured.ours, measured.peer) == ("2 s", "5 s")
    assert (measured.figure, measured.worst) == ("2.50 x", "1.50 x")
    assert (measured.target, measured.is_met) == ("≥ 2.5 x", True)
    assert not results.faster("1", "a month", [2.0], "psql", [4.9], 2.5).is_met


def test_a_single_run_under_the_floor_misses_the_target() -> None:
    runs = ("1", "a month", [1.0, 2.0, 4.0], "psql", [5.0, 5.0, 6.0], 2.5)

    assert results.faster(*runs, floor=1.5).is_met
    missed = results.faster(*runs, floor=1.6)
    assert (missed.target, missed.is_met) == ("≥ 2.5 x, none < 1.6 x", False)


def test_at_most_is_by_medians_and_its_worst_by_the_run() -> None:
    measured = results.at_most("6", "a file", [0.02, 0.03, 0.09], "bare", [0.01, 0.02, 0.01], 3.0)

    assert (measured.ours, measured.peer) == ("30 ms", "10 ms")
    assert (measured.figure, measured.worst) == ("3 x", "9 x")
    assert measured.is_met
    assert not results.at_most("6", "a file", [0.031], "bare", [0.01], 3.0).is_met


def test_a_line_may_have_no_target(capsys: pytest.CaptureFixture[str]) -> None:
    measured = results.faster("1 pandas", "a month", [1.0], "pandas", [9.0], None)

    results.write_results([measured], quick=True)

    row = "| 1 pandas | a month | 1 s | 9 s | 9.00 x | 9.00 x | none |"
    assert row in capsys.readouterr().out


def test_what_takes_long_is_measured_three_times_and_never_more_often_than_the_rest() -> None:
    assert (Timer(5).slow.times, Timer(2).slow.times) == (3, 2)
    assert list(Timer(5).slow.repetitions()) == [1, 2, 3]


def test_everything_is_measured_at_least_once_however_long_it_takes() -> None:
    assert list(Timer(3, within_seconds=-1).repetitions()) == [1]
    assert list(Timer(5, within_seconds=-1).slow.repetitions()) == [1]
    assert list(Timer(3, within_seconds=3_600).repetitions()) == [1, 2, 3]


def test_a_run_of_some_rows_leaves_the_other_rows_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "KEPT", tmp_path / "results.json")
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    results.write_results([line("1"), line("1 dlt"), line("10")], quick=False)

    results.write_results([line("2"), line("1 polars")], quick=False)
    results.write_results([line("10 quick")], quick=True)

    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [each["number"] for each in kept] == ["1 polars", "2", "10"]
    shown = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "| 10 | work | 1 s | 2 s | 2 x | 1 x | ≥ 2 x, met |" in shown


def test_a_corrected_month_has_one_percent_changed_and_a_thousandth_gone() -> None:
    month = files.month_frame(2023, 1, 100_000)

    both = month.join(files.corrected(month), on=("created_at", "entity_id"), how="left")

    changed = both.filter(pl.col("value") != pl.col("value_right"))
    assert 900 <= len(changed) <= 1_100
    assert 70 <= both["value_right"].null_count() <= 130


def test_corrected_loans_have_one_percent_changed_and_keep_the_contract() -> None:
    loans = files.loans_frame(40_000, LAST_DAY)
    corrected = files.corrected_loans(loans)

    assert loans["repayment_date"].to_list() == [
        LAST_DAY - timedelta(40_000 - 1 - number) for number in range(40_000)
    ]
    changed = sum(old != new for old, new in zip(loans.rows(), corrected.rows(), strict=True))
    assert 340 <= changed <= 460
    for _, count, defaults, liquidations in loans.rows() + corrected.rows():
        assert defaults >= 0
        assert liquidations >= 0
        assert defaults + liquidations <= count


def test_the_days_of_a_file_of_many_rows_stand_again_and_again() -> None:
    loans = files.several_states(300, LAST_DAY, 1_000)

    assert len(loans) == 1_000
    assert loans["repayment_date"].to_list()[:300] == loans["repayment_date"].to_list()[600:900]
    assert loans["loans"].to_list()[:300] != loans["loans"].to_list()[600:900]


def test_the_upsert_is_counted_by_the_last_row_of_each_day() -> None:
    columns = ["repayment_date", "loans"]
    days = [LAST_DAY, LAST_DAY + timedelta(1)]
    first = pl.DataFrame([(days[0], 1), (days[1], 2), (days[0], 3)], columns, orient="row")
    second = pl.DataFrame([(days[0], 9), (days[1], 7), (days[0], 3)], columns, orient="row")

    assert upserts.counts(first, second) == [1, 1, 1]


def is_good(text: bytes) -> bool:
    """Judges a line of January 2023 by itself."""
    match = re.fullmatch(rb"(\d+),2023-01-(\d\d) (\d\d):[0-5]\d:[0-5]\d,(\d{1,18})", text)
    return match is not None and 1 <= int(match[2]) <= 31 and int(match[3]) <= 23


def test_exactly_one_line_in_a_thousand_is_spoilt_and_truly_bad(tmp_path: Path) -> None:
    path = files.write_month(files.month_frame(2023, 1, 20_000), tmp_path / "month.csv")
    lines = path.read_bytes().split(b"\n")

    numbers = bad_rows.spoil(lines)

    assert numbers == [501 + 1_000 * number for number in range(20)]
    rows = lines[1:-1]
    assert [number for number, row in enumerate(rows, 2) if not is_good(row)] == numbers


def test_the_files_of_a_flood_tell_each_day_anew_as_of_a_later_day(tmp_path: Path) -> None:
    states = flood.make_states(10)
    paths = flood.write_all(states, tmp_path / "loans")

    headers = [path.read_text(encoding="utf-8").splitlines()[0] for path in paths]
    assert [header.split("as of ")[-1] for header in headers] == [
        *["2023-05-09)"] * 4,
        *["2023-05-10)"] * 4,
        *["2023-05-11)"] * 2,
    ]
    days = [rows["repayment_date"].to_list() for rows in states]
    assert days[0] == days[4] == days[8]
    assert len({day for each in days for day in each}) == 40
    newest = [row for each in (8, 9, 6, 7) for row in states[each].drop("repayment_date").rows()]
    assert flood.newest_of(states) == [list(row) for row in newest]
