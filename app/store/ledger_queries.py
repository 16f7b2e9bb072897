"""The ledger's statements for the driver, each compiled when it is first needed."""

from __future__ import annotations

import os
import socket
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    UnaryExpression,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import aliased

from app.domain import LoadCounts, LoadStatus
from app.store.direct import Query, compiled
from models.ops import Load

NOW = func.clock_timestamp()
# For a note that a crash of the server may take back at no loss: it does not wait for the disk.
# The next commit that does, such as the load's own, writes it down, too.
RELAXED = func.set_config("synchronous_commit", "off", True) == "off"

DESCRIPTION = ("pipeline", "scope", "sha256", "file_name", "folder", "file_bytes", "discovered_at")
COUNTS = tuple(f"rows_{field.name}" for field in fields(LoadCounts))
SHOWN = ("load_id", "pipeline", "file_name", "status", "error", "filed_path", "fault", *COUNTS)
SHOWN_COLUMNS = tuple(getattr(Load, name) for name in SHOWN)
OF_LOAD = Load.load_id == bindparam("of_load")


class Known(NamedTuple):
    """Which facts a file has: `= value` or `IS NULL`, as no index serves IS NOT DISTINCT FROM."""

    pipeline: bool
    scope: bool
    folder: bool
    appended: bool = False  # the feed's files stand beside each other

    def _is(self, name: str) -> ColumnElement[bool]:
        column: ColumnElement[str | None] = getattr(Load, name)
        return column == bindparam(name) if getattr(self, name) else column.is_(None)

    def is_place(self) -> ColumnElement[bool]:
        return and_(self._is("pipeline"), self._is("scope"))

    def is_file(self) -> ColumnElement[bool]:
        """Whether a load was of this file, which has not left imports/ since."""
        named = and_(Load.file_name == bindparam("file_name"), self._is("folder"))
        return and_(named, Load.filed_at.is_(None))

    def is_running(self) -> ColumnElement[bool]:
        running = Load.status == LoadStatus.RUNNING.value
        return and_(self.is_place(), self.is_file(), running)


def worker_name() -> str:
    """Gives this process as the ledger names it; asked late, as a fork is another process."""
    return f"{socket.gethostname()}:{os.getpid()}"


@cache
def earlier(known: Known) -> Query:
    """Gives unfiled, same and is_running of `ledger.Earlier`."""
    is_content = Load.sha256 == bindparam("sha256")
    if known.appended:  # one file may be loaded years by years
        is_content = and_(is_content, known.is_place())
    later = aliased(Load)
    # Its name was another content's since then, so it was taken away, and this is a new file.
    is_gone = exists().where(
        later.file_name == Load.file_name,
        later.folder.is_not_distinct_from(Load.folder),
        later.load_id > Load.load_id,
        later.sha256 != Load.sha256,
    )
    unfiled = (
        select(Load.load_id)
        .where(is_content, known.is_file(), Load.status != LoadStatus.RUNNING.value, ~is_gone)
        .order_by(Load.load_id.desc())
        .limit(1)
    )
    same, is_running = _same(known).scalar_subquery(), exists().where(known.is_running())
    return compiled(select(unfiled.scalar_subquery(), same, is_running))


@cache
def same(known: Known) -> Query:
    return compiled(_same(known))


def _same(known: Known) -> Select[Any]:
    if known.appended:
        return _standing(known)
    latest = (
        select(Load.load_id, Load.sha256)
        .where(known.is_place(), Load.status == LoadStatus.LOADED.value)
        .order_by(*latest_first(Load))
        .limit(1)
        .subquery()
    )
    return select(latest.c.load_id).where(latest.c.sha256 == bindparam("sha256"))


def latest_first(load: type[Load]) -> tuple[UnaryExpression[Any], ...]:
    """The order of loads of one place, as the index has it; `scope IS NULL` fixes no column of it.

    Ordered by the instant alone, all loads of the place would be read and sorted each time.
    """
    return load.scope.desc(), load.finished_at.desc()


def _standing(known: Known) -> Select[Any]:
    """The latest loaded one of any file of the place that holds this content still."""
    later = aliased(Load)
    corrected = exists().where(
        later.file_name == Load.file_name,
        later.pipeline == Load.pipeline,
        later.scope.is_not_distinct_from(Load.scope),
        later.status == LoadStatus.LOADED.value,
        later.finished_at > Load.finished_at,
        later.sha256 != Load.sha256,
    )
    return (
        select(Load.load_id)
        .where(
            known.is_place(),
            Load.sha256 == bindparam("sha256"),
            Load.status == LoadStatus.LOADED.value,
            ~corrected,
        )
        .order_by(Load.finished_at.desc())
        .limit(1)
    )


@cache
def end_overwritten(known: Known) -> Query:
    overwritten = and_(known.is_running(), Load.sha256 != bindparam("sha256"))
    return compiled(
        update(Load)
        .where(overwritten)
        .values(
            status=LoadStatus.FAILED.value,
            finished_at=NOW,
            filed_at=NOW,
            error="Broken off, and the file was overwritten before it could be loaded again.",
        )
    )


@cache
def take_up(known: Known) -> Query:
    broken_off = (
        select(Load.load_id)
        .where(known.is_running(), Load.sha256 == bindparam("sha256"))
        .order_by(Load.load_id.desc())
        .limit(1)
    )
    return compiled(
        update(Load)
        .where(Load.load_id == broken_off.scalar_subquery())
        .values(attempt=Load.attempt + 1, started_at=NOW, worker=worker_name(), error=None)
        .returning(Load.load_id, Load.attempt)
    )


@cache
def begin() -> Query:
    described = {name: bindparam(name, type_=getattr(Load, name).type) for name in DESCRIPTION}
    worker, running = literal(worker_name()), literal(LoadStatus.RUNNING.value)
    line = {**described, "started_at": NOW, "worker": worker, "status": running}
    begun = insert(Load).from_select(list(line), select(*line.values()).where(RELAXED))
    return compiled(begun.returning(Load.load_id))


@cache
def duplicate() -> Query:
    line: dict[str, Any] = {name: bindparam(name) for name in (*DESCRIPTION, "error")}
    ended = insert(Load).values(
        **line,
        status=LoadStatus.DUPLICATE.value,
        started_at=NOW,
        finished_at=NOW,
        worker=worker_name(),
    )
    return compiled(ended.returning(*SHOWN_COLUMNS))


@cache
def end() -> Query:
    line: dict[str, Any] = {name: bindparam(name) for name in ("status", "error", "fault", *COUNTS)}
    ended = update(Load).where(OF_LOAD).values(finished_at=_after_those_before(), **line)
    return compiled(ended.returning(*SHOWN_COLUMNS))


def _after_those_before() -> ColumnElement[datetime]:
    """Now, or just after the latest load of the place where the clock was set back since.

    Which load of a place is the latest decides what is a duplicate.
    """
    before = aliased(Load)
    latest = (
        select(before.finished_at + timedelta(microseconds=1))
        .where(before.pipeline == Load.pipeline, before.status == LoadStatus.LOADED.value)
        .order_by(*latest_first(before))
        .limit(1)
        .correlate(Load)
    )
    of_scope = latest.where(before.scope == Load.scope)
    of_none = latest.where(before.scope.is_(None), Load.scope.is_(None))
    return func.greatest(NOW, of_scope.scalar_subquery(), of_none.scalar_subquery())


@cache
def filed() -> Query:
    noted = {"filed_at": NOW, "filed_path": bindparam("filed_path")}
    return compiled(update(Load).where(OF_LOAD, RELAXED).values(noted))


@cache
def one() -> Query:
    return compiled(select(*SHOWN_COLUMNS).where(OF_LOAD))
