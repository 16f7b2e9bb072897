"""Routes an arrival to its pipeline by name and header; pure, no file is touched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cache

from app.domain import Column, Facts, Pipeline, Route, Years
from app.errors import ConfigError, FileError

AS_OF = re.escape("{as_of}")
# What a message shows of a header that fits no feed.
SHOWN_COLUMNS = 30
SHOWN_CHARACTERS = 80


def normalised(name: str) -> str:
    """Gives a column name in lower case, with blanks and underscores as one underscore."""
    return re.sub(r"[\s_]+", "_", name.strip().lower())


@cache
def alias_pattern(alias: str) -> re.Pattern[str]:
    """Gives the pattern of normalised names an alias stands for."""
    return re.compile(
        re.escape(normalised(alias)).replace(AS_OF, r"(?P<as_of>[0-9]{4}-[0-9]{2}-[0-9]{2})")
        + r"\Z"
    )


def match_column(name: str, columns: Iterable[Column]) -> tuple[Column, str | None] | None:
    """Finds the column a header field names, and the as-of date written in it, if any."""
    plain = normalised(name)
    for column in columns:
        for alias in (column.name, *column.aliases):
            if found := alias_pattern(alias).match(plain):
                return column, found.groupdict().get("as_of")
    return None


def match_header(
    header: Sequence[str], pipeline: Pipeline
) -> tuple[tuple[str, ...], set[str]] | None:
    """Gives a frame name per header field and the as-of dates found, or None for no match.

    Every column that is not optional stands exactly once; other columns are only accepted,
    after the known ones, by a pipeline that takes the rest.
    """
    names: list[str] = []
    as_ofs: set[str] = set()
    for position, field in enumerate(header):
        found = match_column(field, pipeline.columns)
        if found and found[0].name not in names:
            names.append(found[0].name)
            as_ofs |= {found[1]} if found[1] else set()
        elif pipeline.rest and position >= len(pipeline.columns):
            names.append(f"{pipeline.rest}_{position - len(pipeline.columns) + 1}")
        else:
            return None
    required = {column.name for column in pipeline.columns if not column.optional}
    return (tuple(names), as_ofs) if required <= set(names) else None


def match_name(name: str, folder: str | None, pipeline: Pipeline) -> re.Match[str] | None:
    """Matches the file's name; in the feed's own folder the folder's name counts too."""
    found = pipeline.file_name.search(name)
    if found or folder != pipeline.name:
        return found
    return pipeline.file_name.search(f"{folder}_{name}")


def candidates(
    name: str, folder: str | None, pipelines: Sequence[Pipeline]
) -> list[tuple[Pipeline, re.Match[str]]]:
    """Gives the pipelines that the file's folder, or else its name, allows.

    Raises FileError when none does.
    """
    own = [pipeline for pipeline in pipelines if pipeline.name == folder]
    matched = [
        (pipeline, found)
        for pipeline in own or pipelines
        if (found := match_name(name, folder, pipeline))
    ]
    if not matched:
        wanted = ", ".join(f"{p.name}: {p.looks_like}" for p in own or pipelines)
        raise FileError(
            found=f"the file name {name!r}",
            expected=f"a name that fits a feed ({wanted})",
            remedy="rename the file"
            + ("" if own else " or put it into the feed's own folder, imports/<feed>/"),
        )
    return matched


def described(column: Column) -> str:
    """Writes a column as people would put it into a header."""
    names = " or ".join(
        repr(alias.replace("{as_of}", "YYYY-MM-DD")) for alias in (*column.aliases, column.name)
    )
    return f"{names} (optional)" if column.optional else names


def expected_columns(pipeline: Pipeline) -> str:
    """Writes the header a pipeline takes, for messages."""
    columns = ", ".join(described(column) for column in pipeline.columns)
    return f"{pipeline.name}: {columns}" + (", then any others" if pipeline.rest else "")


def parse_as_of(as_ofs: set[str]) -> date | None:
    """Gives the one as-of date of a header, None where it has none.

    Raises FileError when the header names two dates, or one that is not in the calendar.
    """
    if len(as_ofs) > 1:
        raise FileError(
            found=f"a header with two as-of dates, {' and '.join(sorted(as_ofs))}",
            expected="the same as-of date in every column",
            remedy="correct the header",
            line_number=1,
        )
    as_of = next(iter(as_ofs), None)
    try:
        return date.fromisoformat(as_of) if as_of else None
    except ValueError as error:
        raise FileError(
            found=f"the as-of date {as_of} in the header, which is not in the calendar",
            expected="a date as YYYY-MM-DD",
            remedy="correct the header",
            line_number=1,
        ) from error


def scope_of(found: re.Match[str]) -> str | None:
    """Gives the month `YYYY-MM` that a file's name says, None for feeds without months."""
    groups = found.groupdict()
    return f"{groups['year']}-{groups['month']}" if "year" in groups else None


def lane_of(name: str, folder: str | None, pipelines: Sequence[Pipeline]) -> str:
    """Names what an arrival of this name may change: its feed, and its month where it has one."""
    try:
        named = candidates(name, folder, pipelines)
    except FileError:
        return f"?/{name}"
    return "+".join(f"{pipeline.name}/{scope_of(found) or ''}" for pipeline, found in named)


def route(
    name: str,
    folder: str | None,
    header: Sequence[str],
    discovered_at: datetime,
    pipelines: Sequence[Pipeline],
    years: Years | None = None,
) -> Route:
    """Finds the one pipeline that both the name and the header fit.

    folder: the file's folder below imports/, where it has one. discovered_at: when the file
    was seen; its day stands in for an as-of date the header does not give.
    Raises FileError, saying what was looked for, when none or several pipelines fit, and
    ConfigError when years are asked for of a feed that is not loaded by years.
    """
    named = candidates(name, folder, pipelines)
    fitting = [
        (pipeline, found, matched)
        for pipeline, found in named
        if (matched := match_header(header, pipeline))
    ]
    if len(fitting) != 1:
        rivals = [pipeline for pipeline, *_ in fitting or named]
        raise _no_single_match(header, rivals, several=bool(fitting))
    pipeline, found, (names, as_ofs) = fitting[0]
    today = discovered_at.astimezone().date()
    if years:
        require_years_taken([pipeline])
    scope = str(years) if years else scope_of(found)
    facts = Facts(scope, as_of=parse_as_of(as_ofs) or today, today=today, years=years)
    return Route(pipeline, facts, names)


def require_years_taken(pipelines: Sequence[Pipeline]) -> None:
    """Raises ConfigError when none of these feeds is loaded by years."""
    if not any(pipeline.takes_years for pipeline in pipelines):
        named = " or ".join(pipeline.name for pipeline in pipelines)
        raise ConfigError(f"--years is not for {named}, whose files are loaded whole")


def shown_header(header: Sequence[str]) -> str:
    """Writes the header of a file for messages, however wide it and its names are."""
    names = [
        repr(name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}...")
        for name in header[:SHOWN_COLUMNS]
    ]
    return ", ".join(names) + (", ..." if len(header) > SHOWN_COLUMNS else "")


def _no_single_match(
    header: Sequence[str], pipelines: Sequence[Pipeline], *, several: bool
) -> FileError:
    if several:
        return FileError(
            found=f"a file that fits several feeds: {', '.join(p.name for p in pipelines)}",
            expected="one feed",
            remedy="put the file into the feed's own folder, imports/<feed>/",
        )
    return FileError(
        found=f"the header {shown_header(header)}",
        expected=f"the columns of {'; or of '.join(expected_columns(p) for p in pipelines)}",
        remedy="correct the header, or put the file into the folder of the feed it belongs to",
        line_number=1,
    )
