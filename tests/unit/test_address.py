"""Addresses mean to us what they mean to SQLAlchemy, whose engine connects with them too."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from app.address import Address

ADDRESSES = [
    "postgresql://",
    "postgresql:///lake",
    "postgresql://db.example",
    "postgresql://db.example/lake",
    "postgresql://reader@db.example:5433/lake",
    "postgres://reader:hush@db.example:5433/lake",
    "postgresql+asyncpg://reader:a%40b%2F%3A@db.example/lake",
    "postgresql://a%20b:c+d%25@db.example/l%20k",
    "postgresql://reader:@db.example/lake",
    "postgresql://reader@[::1]:5433/lake",
    "postgresql://reader@/lake?host=/tmp/sockets",
    "postgresql://reader@/lake?host=%2Ftmp%2Fsockets&port=5433",
    "postgresql://reader@/lake?host=db.example:5433",
    "postgresql://reader@db.example/lake?host=other.example",
    "postgresql://reader@/lake?host=a.example:1&host=b.example:2",
    "postgresql://reader@/lake?host=a.example,b.example&port=1,2",
    "postgresql://reader@db.example/lake?ssl=require",
    "postgresql://reader@db.example:5433/l%C3%A4ke?ssl=verify-full",
]


def told_by_sqlalchemy(address: str) -> dict[str, Any]:
    """What SQLAlchemy would pass to the driver."""
    url = make_url(address.replace("postgres://", "postgresql://"))
    _, arguments = PGDialect_asyncpg().create_connect_args(url)  # type: ignore[no-untyped-call]
    if isinstance(arguments.get("host"), str):  # the driver makes no difference
        arguments["host"] = [arguments["host"]]
    return dict(arguments)


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_driver_is_told_what_sqlalchemy_would_tell_it(address: str) -> None:
    assert Address.parse(address).connect_arguments() == told_by_sqlalchemy(address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_written_out_again_means_the_same(address: str) -> None:
    written = str(Address.parse(address))

    assert Address.parse(written) == Address.parse(address)
    assert told_by_sqlalchemy(written) == told_by_sqlalchemy(address)


@pytest.mark.parametrize("given", ["sslmode=verify-full", "ssl=verify-full"])
def test_the_driver_and_psql_each_have_their_word_for_ssl(given: str) -> None:
    address = Address.parse(f"postgresql:///lake?{given}")

    assert str(address.with_ssl_as("ssl")) == "postgresql:///lake?ssl=verify-full"
    assert str(address.with_ssl_as("sslmode")) == "postgresql:///lake?sslmode=verify-full"
    assert address.connect_arguments() == {"database": "lake", "ssl": "verify-full"}


def test_hosts_without_ports_of_their_own_share_one() -> None:
    address = Address.parse("postgresql:///lake?host=a.example,b.example&port=5433")

    arguments = address.connect_arguments()

    assert arguments == {"host": ["a.example", "b.example"], "port": 5433, "database": "lake"}
