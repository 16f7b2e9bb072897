"""Draws growth.json as three panels. Arguments: its path, the picture's.

Runs in the benchmarks' own environment, and imports nothing of ours.
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

OURS, PEER, THIRD = "#0b6e99", "#c4622d", "#7a7a7a"
LOOK = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e4e4e4",
    "lines.marker": "o",
    "lines.markersize": 4.5,
    "lines.linewidth": 1.8,
}


def column(points: list[dict[str, float]], name: str) -> list[float]:
    """Gives one value of every point."""
    return [point[name] for point in points]


def named(value: float, _position: int = 0) -> str:
    """Gives a number as short as it reads well."""
    return f"{value:,.10g}"


def draw(axes: Axes, x: list[float], lines: dict[str, tuple[list[float], str]]) -> None:
    """Draws named lines in their colours; the names stand in room of their own above them all."""
    for name, (y, color) in lines.items():
        axes.plot(x, y, color=color, label=name, clip_on=False, zorder=3)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0.025, 1),
        borderaxespad=0,
        borderpad=0.1,
        labelspacing=0.25,
        handlelength=1.4,
        labelcolor="linecolor",
        framealpha=1,
        edgecolor="none",
    )


def at(axes: Axes, places: list[float], words: str) -> None:
    """Marks exactly the measured places on the x axis."""
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(named))
    axes.set_xlabel(words)


def draw_rates(axes: Axes, points: list[dict[str, float]]) -> None:
    rows = [each / 1e6 for each in column(points, "rows")]
    ours, peer = ([each / 1e6 for each in column(points, name)] for name in ("sluice", "psql"))
    draw(axes, rows, {"Sluice": (ours, OURS), "psql \\copy": (peer, PEER)})
    axes.set_xscale("log")
    axes.set_ylim(0, 1.35 * max(*ours, *peer))
    axes.set_title("A fresh month")
    axes.set_ylabel("million rows a second")
    at(axes, rows, "million rows in the file")


def draw_loads(axes: Axes, points: list[dict[str, float]]) -> None:
    workers = column(points, "workers")
    loans, months = column(points, "loans"), column(points, "months")
    lines = {
        "loans, 10 rows a file, in turn": (loans, OURS),
        "months, 10,000 rows a file": (months, THIRD),
    }
    draw(axes, workers, lines)
    axes.set_ylim(0, 1.35 * max(*loans, *months))
    axes.set_title("Many small files at once")
    axes.set_ylabel("loads a second")
    at(axes, workers, "workers")


def draw_refreshes(axes: Axes, points: list[dict[str, float]], rows_a_month: float) -> None:
    years = column(points, "years")
    view, ours, command = (column(points, name) for name in ("view", "sluice", "command"))
    lines = {
        "materialized view, concurrently": (view, PEER),
        "Sluice, the whole command": (command, THIRD),
        "Sluice, the refresh itself": (ours, OURS),
    }
    draw(axes, years, lines)
    axes.set_xscale("log")
    axes.set_yscale("log")
    lowest, highest = min(ours), max(*view, *command)
    axes.set_ylim(0.6 * lowest, highest * (highest / lowest) ** 0.55)
    axes.yaxis.set_major_formatter(FuncFormatter(named))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("Refresh after one new day")
    axes.set_ylabel("seconds")
    at(axes, years, f"years held ({named(rows_a_month * 12 / 1e6)} million rows each)")


def main(numbers: str, picture: str) -> None:
    """Draws all panels."""
    found = json.loads(Path(numbers).read_text(encoding="utf-8"))
    mpl.use("Agg")
    with mpl.rc_context(LOOK):
        figure, (rates, loads, refreshes) = pyplot.subplots(
            1, 3, figsize=(10.5, 3.3), layout="constrained"
        )
        draw_rates(rates, found["rates"])
        draw_loads(loads, found["loads"])
        draw_refreshes(refreshes, found["refreshes"], found["rows_a_month"])
        figure.get_layout_engine().set(w_pad=0.15)
        figure.savefig(picture, dpi=170)


main(*sys.argv[1:])
