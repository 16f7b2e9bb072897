"""What was found at the end, line by line: as it should be, or broken and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console
from rich.table import Table

K = TypeVar("K")
V = TypeVar("V")
SHOWN = 3
SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at. faults: what is wrong with it."""

    what: str
    seen: str
    faults: tuple[str, ...] = ()
    is_judged: bool = True


@dataclass
class Verdict:
    """All that was looked at."""

    lines: list[Line] = field(default_factory=list)

    def note(self, what: str, seen: object, faults: Iterable[str] = ()) -> None:
        self.lines.append(Line(what, str(seen), tuple(faults)))

    def tell(self, what: str, seen: object) -> None:
        """Notes what is told only, without a judgement."""
        self.lines.append(Line(what, str(seen), is_judged=False))

    @property
    def is_good(self) -> bool:
        return not any(line.faults for line in self.lines)

    def show(self, console: Console, title: str) -> None:
        table = Table(title=title, title_justify="left", title_style="bold")
        for heading in ("what", "seen", ""):
            table.add_column(heading, overflow="fold")
        for line in self.lines:
            right = "[bold red]BROKEN[/]" if line.faults else "right" if line.is_judged else ""
            table.add_row(line.what, line.seen, right)
        console.print(table)
        for line in self.lines:
            for fault in line.faults[:SHOWN]:
                console.print(f"{line.what}: {fault[:SHOWN_CHARACTERS]}", markup=False)
            if len(line.faults) > SHOWN:
                console.print(f"{line.what}: and {len(line.faults) - SHOWN} more")


def differences(found: Mapping[K, V], expected: Mapping[K, V]) -> list[str]:
    """What is missing, too much, or another value than expected, by key."""
    keys = [key for key in expected.keys() | found.keys() if found.get(key) != expected.get(key)]
    return [
        f"{key}: found {found.get(key, 'nothing')!r}, expected {expected.get(key, 'nothing')!r}"
        for key in keys
    ]
