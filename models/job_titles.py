"""Job titles and the terms related to each."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.base import STAGING, WAREHOUSE, Base


class StagedJobTitles(Base):
    """Rows of the job titles file that is being loaded; empty between loads."""

    __tablename__ = "job_titles"
    __table_args__ = (
        {
            "schema": STAGING,
            "prefixes": ["UNLOGGED"],
            "comment": "Rows of the job titles load under way; empty between loads.",
        },
    )

    __mapper_args__ = {"primary_key": ["line_number"]}  # noqa: RUF012 - as SQLAlchemy declares it

    line_number: Mapped[int] = mapped_column(BigInteger, comment="Physical line of the file")
    title: Mapped[str] = mapped_column(Text, comment="Title, trimmed and lower-cased")
    pdl_count: Mapped[int] = mapped_column(BigInteger, comment="People with the title")
    related: Mapped[list[str]] = mapped_column(
        ARRAY(Text), comment="Related terms in the file's order"
    )


class JobTitle(Base):
    """Job titles, as the newest file that names them says."""

    __tablename__ = "job_title"
    __table_args__ = (
        {"schema": WAREHOUSE, "comment": "Job titles, as the newest file naming them says."},
    )

    title: Mapped[str] = mapped_column(
        Text, primary_key=True, comment="Title: trimmed, lower-cased, white space collapsed"
    )
    pdl_count: Mapped[int] = mapped_column(BigInteger, comment="People with the title")
    load_id: Mapped[int] = mapped_column(BigInteger, comment="Load that last changed the title")


class RelatedTitle(Base):
    """Terms related to a title, best first."""

    __tablename__ = "related_title"
    __table_args__ = (
        {"schema": WAREHOUSE, "comment": "Terms related to a job title, best first."},
    )

    title: Mapped[str] = mapped_column(
        Text,
        ForeignKey(f"{WAREHOUSE}.job_title.title", ondelete="CASCADE"),
        primary_key=True,
        comment="The job title",
    )
    rank: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, comment="Position, from 1"
    )
    related_title: Mapped[str] = mapped_column(Text, comment="The related term")
