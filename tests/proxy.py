"""A relay on loopback between a service and its database, which cuts connections where it is told.

It parses nothing: a trap counts bytes, or looks for some.
"""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import URL, make_url

CHUNK_BYTES = 1 << 16


class Way(StrEnum):
    """Which way bytes go."""

    REQUEST = "to the server"
    ANSWER = "from the server"


@dataclass
class Trap:
    """Where to cut, once: after so many bytes on their way, or where `sign` stands among them.

    behind: only on a connection that has asked for this before. lets_through: whether the sign
    still arrives. spares_server: the server is not told, until
    `release`: as when a network fails on one side only. hushes: no connection is cut; from there
    on nothing passes on any.
    """

    way: Way
    after_bytes: int | None = None
    sign: bytes = b""
    behind: bytes = b""
    lets_through: bool = False
    spares_server: bool = False
    hushes: bool = False
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: bytes = b""

    def passed(self, chunk: bytes) -> bytes | None:
        """Gives what of the chunk still arrives; None where the trap does not spring in it."""
        if self.after_bytes is not None:
            self.after_bytes -= len(chunk)
            return None if self.after_bytes > 0 else chunk[: len(chunk) + self.after_bytes]
        known, self._seen = self._seen, (self._seen + chunk)[1 - len(self.sign) :]
        at = (known + chunk).find(self.sign)
        if at < 0:
            return None
        return chunk if self.lets_through else chunk[: max(0, at - len(known))]

    def release(self) -> None:
        """Tells the server, too, that the connection is gone."""
        self._released.set()

    async def let_server_know(self) -> None:
        if self.spares_server:
            await self._released.wait()


class Proxy:
    """Relays connections to one server; `lay` takes traps for what goes by, each for one cut."""

    def __init__(self, server: URL) -> None:
        self._server = server
        self._traps: list[Trap] = []
        self._relays: set[asyncio.Task[None]] = set()
        self._is_hushed = False
        self.counted = dict.fromkeys(Way, 0)

    def hush(self) -> None:
        """Lets nothing pass any more, on no connection, and closes none."""
        self._is_hushed = True

    def lay(self, *traps: Trap) -> None:
        self._traps += traps

    async def listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1")
        [listening] = self._listener.sockets
        self._port = listening.getsockname()[1]

    async def close(self) -> None:
        self._listener.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    @property
    def url(self) -> str:
        """The address of the same database by way of here."""
        here = self._server.set(host="127.0.0.1", port=self._port, query={})
        return here.render_as_string(hide_password=False)

    async def _dial(self) -> tuple[StreamReader, StreamWriter]:
        port = self._server.port or 5432
        folder = self._server.query.get("host")
        if folder:
            return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
        assert self._server.host
        return await asyncio.open_connection(self._server.host, port)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        relay = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)
        # Here, too: a relay that is cancelled before it begins, or while it dials, closes nothing.
        relay.add_done_callback(lambda _: writer.close())

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Relays both ways until one of them ends; then both sides are hung up."""
        try:
            from_server, to_server = await self._dial()
        except OSError:  # nobody to relay to
            writer.close()
            return
        asked: set[bytes] = {b""}
        ways = [
            asyncio.create_task(self._pump(Way.REQUEST, reader, to_server, asked)),
            asyncio.create_task(self._pump(Way.ANSWER, from_server, writer, asked)),
        ]
        try:
            ended, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            writer.close()
            for trap in (each.result() for each in ended):
                if trap:
                    trap.sprung.set()
                    await trap.let_server_know()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            to_server.close()

    async def _pump(
        self, way: Way, reader: StreamReader, writer: StreamWriter, asked: set[bytes]
    ) -> Trap | None:
        """Relays one way until the reader's end, or to a trap, which it gives.

        asked: what traps are behind and this connection has asked for.
        """
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if way is Way.REQUEST:
                    asked.update(each.behind for each in self._traps if each.behind in chunk)
                trap = next((t for t in self._traps if t.way is way and t.behind in asked), None)
                passed = trap.passed(chunk) if trap else None
                if trap and passed is not None:
                    self._traps.remove(trap)
                    if trap.hushes:
                        self.hush()
                        trap.sprung.set()
                if self._is_hushed:
                    continue
                if trap and passed is not None:
                    writer.write(passed)
                    await writer.drain()
                    return trap
                self.counted[way] += len(chunk)
                writer.write(chunk)
                await writer.drain()
        return None


@asynccontextmanager
async def before(database_url: str) -> AsyncIterator[Proxy]:
    """Gives a proxy before the database of that address."""
    proxy = Proxy(make_url(database_url))
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
