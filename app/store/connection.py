"""One connection to the database, without SQLAlchemy, for commands that are quick and run often."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.address import Address
from app.settings import Settings

CONNECT_SECONDS = 10
# Both ends give a connection up when the other one has been gone for 30 + 3 * 10 seconds; else the
# server keeps a dead session's locks for two hours, and a load waits for ever for a dead server.
SERVER_SETTINGS = {
    "application_name": "sluice",
    # Past this whoever waits for somebody's lock says so, and leaves the work to the next run.
    "lock_timeout": "60s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
SOCKET_KEEPALIVES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    # The same for what was sent and never acknowledged, of which keepalives know nothing.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)

# The level of this name follows ECHO_SQL, also in commands that are quiet otherwise.
log = logging.getLogger("sqlalchemy.engine.driver")


@asynccontextmanager
async def connected(address: str, settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Gives an open connection; closes it afterwards."""
    connection = await asyncpg.connect(
        **Address.parse(address).connect_arguments(),
        timeout=CONNECT_SECONDS,
        server_settings=SERVER_SETTINGS,
    )
    keep_socket_alive(connection)
    if settings.echo_sql:
        connection.add_query_logger(show_statement)
    try:
        yield connection
    finally:
        await connection.close(timeout=CONNECT_SECONDS)


def keep_socket_alive(connection: Any) -> None:
    """Lets the kernel ask now and then whether the server is still there."""
    transport = connection._transport  # noqa: SLF001 - asyncpg has no option for it
    connected = transport.get_extra_info("socket")
    if connected.family in (socket.AF_INET, socket.AF_INET6):
        for option in SOCKET_KEEPALIVES:
            connected.setsockopt(*option)


def show_statement(record: asyncpg.connection.LoggedQuery) -> None:
    """Logs a statement, without its values."""
    log.info(record.query)
