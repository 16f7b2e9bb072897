"""What the benchmarks of features conclude from what they see."""

from __future__ import annotations

from benchmarks import features


def test_rows_a_second_are_by_medians_and_the_worst_by_the_run() -> None:
    line = features.per_second("13", "a load", 600, [1.0, 3.0, 2.0], [4.0, 1.5, 6.0], "psql")

    assert (line.ours, line.peer) == ("300 rows/s", "150 rows/s")
    assert (line.figure, line.worst) == ("2.00 x", "0.50 x")


def test_memory_is_judged_by_its_growth() -> None:
    line = features.growth("13 memory", "a load", [200.0, 220.0], "a tenth")

    assert (line.ours, line.peer, line.figure) == ("220 MB", "200 MB", "1.10 x")
    assert line.is_met
    assert not features.growth("13 memory", "a load", [200.0, 240.0], "a tenth").is_met
