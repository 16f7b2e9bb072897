"""The ledger of loads, their rejected rows, and what refresh and export still have to do."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import OPS, Base

INSTANT = DateTime(timezone=True)


def count_column(comment: str) -> Mapped[int]:
    """A row count that starts at zero."""
    return mapped_column(BigInteger, server_default=text("0"), comment=comment)


class Load(Base):
    """One attempt to bring one file in."""

    __tablename__ = "load"
    __table_args__ = (
        CheckConstraint(
            "status IN ('running', 'loaded', 'duplicate', 'quarantined', 'failed')", name="status"
        ),
        CheckConstraint(
            "rows_read = rows_inserted + rows_updated + rows_unchanged"
            " + rows_rejected + rows_duplicate",
            name="rows_add_up",
        ),
        Index(
            "ix_load_latest",
            "pipeline",
            "scope",
            "finished_at",
            postgresql_where=text("status = 'loaded'"),
        ),
        Index("ix_load_sha256", "sha256"),
        Index("ix_load_file", "file_name", "folder", text("load_id DESC")),
        Index("ix_load_unfiled", "load_id", postgresql_where=text("filed_at IS NULL")),
        {"schema": OPS, "comment": "The ledger: one line per load, never deleted."},
    )

    load_id: Mapped[int] = mapped_column(
        BigInteger, Identity(), primary_key=True, comment="Identifies the load everywhere"
    )
    pipeline: Mapped[str | None] = mapped_column(
        Text, comment="The feed's pipeline; null when the file fits none"
    )
    scope: Mapped[str | None] = mapped_column(
        Text, comment="What the file replaces, for entity its month YYYY-MM; else null"
    )
    file_name: Mapped[str] = mapped_column(Text, comment="Name of the file as it was dropped")
    folder: Mapped[str | None] = mapped_column(
        Text,
        comment="Feed folder below imports/ the file was dropped into; null at the top",
    )
    file_bytes: Mapped[int] = mapped_column(BigInteger, comment="Size as stored, in bytes")
    sha256: Mapped[str] = mapped_column(Text, comment="SHA-256 of the bytes as stored, in hex")
    discovered_at: Mapped[datetime] = mapped_column(INSTANT, comment="When the file was seen")
    started_at: Mapped[datetime] = mapped_column(INSTANT, comment="When this load began")
    finished_at: Mapped[datetime | None] = mapped_column(
        INSTANT, comment="When it ended; null while running"
    )
    status: Mapped[str] = mapped_column(
        Text, comment="running, loaded, duplicate, quarantined or failed"
    )
    rows_read: Mapped[int] = count_column("Data rows in the file, rejected ones included")
    rows_inserted: Mapped[int] = count_column("Rows new to the warehouse")
    rows_updated: Mapped[int] = count_column("Rows whose values changed")
    rows_unchanged: Mapped[int] = count_column("Rows the warehouse had already, or newer")
    rows_deleted: Mapped[int] = count_column("Warehouse rows removed; not part of rows_read")
    rows_rejected: Mapped[int] = count_column(
        "Rows not loaded because they break a rule; all rows of a quarantined file"
    )
    rows_duplicate: Mapped[int] = count_column("Rows that stand again elsewhere in the file")
    error: Mapped[str | None] = mapped_column(Text, comment="What went wrong, for people")
    fault: Mapped[dict[str, str | int | None] | None] = mapped_column(
        JSONB(none_as_null=True),
        comment="Parts of a quarantined file's error: found, expected, what_to_do, line_number",
    )
    worker: Mapped[str | None] = mapped_column(Text, comment="host:pid that ran the load")
    attempt: Mapped[int] = mapped_column(
        Integer, server_default=text("1"), comment="How often this load was begun"
    )
    filed_at: Mapped[datetime | None] = mapped_column(
        INSTANT, comment="When the file had left imports/; null until then"
    )
    filed_path: Mapped[str | None] = mapped_column(
        Text, comment="Where the file is kept; null when it was deleted"
    )


class Reject(Base):
    """One rejected row of a load."""

    __tablename__ = "reject"
    __table_args__ = (
        {"schema": OPS, "comment": "Rows that were not loaded, with the reason for each."},
    )

    load_id: Mapped[int] = mapped_column(
        BigInteger,
        ForeignKey(f"{OPS}.load.load_id", ondelete="CASCADE"),
        primary_key=True,
        comment="The load that rejected the row",
    )
    line_number: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, comment="Physical line of the file, the header is line 1"
    )
    column_name: Mapped[str | None] = mapped_column(
        Text, comment="Column at fault; null when the row as a whole is"
    )
    reason: Mapped[str] = mapped_column(Text, comment="Why the row was not loaded")
    raw: Mapped[str] = mapped_column(Text, comment="The row as it stands in the file")
    topic: Mapped[str | None] = mapped_column(
        Text, comment="Of a message: its topic; null for a row of a file"
    )
    partition: Mapped[int | None] = mapped_column(Integer, comment="Of a message: its partition")
    message_offset: Mapped[int | None] = mapped_column(
        BigInteger, comment="Of a message: its offset in the partition"
    )


class TouchedDay(Base):
    """A day whose rows a load changed and that no refresh has covered yet."""

    __tablename__ = "touched_day"
    __table_args__ = (
        {"schema": OPS, "comment": "Days that loads changed since the last refresh."},
    )

    pipeline: Mapped[str] = mapped_column(Text, primary_key=True, comment="Feed of the day's rows")
    day: Mapped[date] = mapped_column(Date, primary_key=True, comment="The calendar day")
    load_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, comment="The load that changed it"
    )


class Refresh(Base):
    """One run that brought one derived table up to date."""

    __tablename__ = "refresh"
    __table_args__ = (
        Index("ix_refresh_name", "name", "refresh_id"),
        {"schema": OPS, "comment": "Runs of refresh that had something to do."},
    )

    refresh_id: Mapped[int] = mapped_column(
        BigInteger, Identity(), primary_key=True, comment="Identifies the run, in commit order"
    )
    name: Mapped[str] = mapped_column(Text, comment="The derived table")
    started_at: Mapped[datetime] = mapped_column(INSTANT, comment="When the run began")
    finished_at: Mapped[datetime] = mapped_column(INSTANT, comment="When it ended")
    rows_changed: Mapped[int] = mapped_column(
        BigInteger, comment="Rows added, changed or removed in the derived table"
    )
    covered_load_id: Mapped[int | None] = mapped_column(
        BigInteger, comment="Newest load whose rows are covered"
    )


class ChangedDay(Base):
    """A day whose derived rows a refresh changed; exports read on from the last one they wrote."""

    __tablename__ = "changed_day"
    __table_args__ = (
        Index("ix_changed_day_refresh_id", "refresh_id"),
        {"schema": OPS, "comment": "Days whose derived rows changed, by refresh."},
    )

    name: Mapped[str] = mapped_column(Text, primary_key=True, comment="The derived table")
    day: Mapped[date] = mapped_column(Date, primary_key=True, comment="The calendar day")
    refresh_id: Mapped[int] = mapped_column(
        BigInteger,
        ForeignKey(f"{OPS}.refresh.refresh_id", ondelete="CASCADE"),
        primary_key=True,
        comment="The refresh that changed it",
    )


class ViewDefinition(Base):
    """Which text of a view's script the database holds."""

    __tablename__ = "view_definition"
    __table_args__ = (
        {"schema": OPS, "comment": "Views as last created from sql/views/, to see what changed."},
    )

    name: Mapped[str] = mapped_column(Text, primary_key=True, comment="The script's name")
    sha256: Mapped[str] = mapped_column(Text, comment="SHA-256 of the script's text, in hex")


class StreamOffset(Base):
    """How far a partition of a topic is loaded."""

    __tablename__ = "stream_offset"
    __table_args__ = (
        {
            "schema": OPS,
            "comment": "How far each partition of a topic is loaded; written with the rows.",
        },
    )

    topic: Mapped[str] = mapped_column(Text, primary_key=True, comment="The topic")
    partition: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, comment="The topic's partition"
    )
    next_offset: Mapped[int] = mapped_column(
        BigInteger, comment="Offset after the last message that was loaded or rejected"
    )
    load_id: Mapped[int] = mapped_column(BigInteger, comment="The load that brought it")
    updated_at: Mapped[datetime] = mapped_column(INSTANT, comment="When that was")
