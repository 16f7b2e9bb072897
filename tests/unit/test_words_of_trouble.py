"""What a person reads when the database cannot be reached: one line, and the same each time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable

import asyncpg
import pytest

from app.errors import DatabaseUnreachableError
from app.store.driver_errors import translated


def words(error: BaseException) -> str:
    ours = translated(error)
    assert isinstance(ours, DatabaseUnreachableError)
    return str(ours).removeprefix("The database cannot be reached: ")


async def raised_by(connecting: Awaitable[object]) -> BaseException:
    with pytest.raises((OSError, asyncpg.PostgresError)) as caught:
        await connecting
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InterfaceError(
            "cannot call Transaction.__aexit__(): the underlying connection is closed"
        ),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError(
            "cannot switch to state 12; another operation (2) is in progress"
        ),
    ],
)
def test_a_lost_connection_has_the_same_words_whoever_notices_it(error: Exception) -> None:
    assert words(error) == "the connection was lost"


async def test_a_server_that_hangs_up_at_once_is_a_lost_connection() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with await asyncio.start_server(hang_up, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        connecting = asyncpg.connect(host="127.0.0.1", port=port, user="me", ssl=False)
        assert words(await raised_by(connecting)) == "the connection was lost"


async def test_a_server_that_takes_the_call_and_says_nothing_is_said_not_to_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        connecting = asyncpg.connect(host="127.0.0.1", port=port, user="me", timeout=0.05)
        assert words(await raised_by(connecting)) == "it does not answer in time"


async def test_an_address_without_a_server_is_named() -> None:
    connecting = asyncpg.connect(host="127.0.0.1", port=1, user="me")
    said = words(await raised_by(connecting))
    assert said == "Connect call failed ('127.0.0.1', 1)"


async def test_a_socket_that_is_not_there_is_said_to_have_no_server() -> None:
    connecting = asyncpg.connect(host="/nowhere", user="me")
    assert words(await raised_by(connecting)) == "no server listens at its socket"


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.TransactionTimeoutError("terminating connection due to transaction timeout"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    ],
)
def test_what_the_server_says_itself_is_handed_on(error: Exception) -> None:
    assert words(error) == str(error)
