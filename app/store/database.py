"""Opens the database of the settings: the one of `DATABASE_URL`, else the embedded server."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from app.address import Address
from app.errors import SluiceError
from app.settings import Settings
from app.store import embedded


@dataclass(frozen=True, slots=True)
class Database:
    """A database that can be reached.

    psql_command: a line to paste into a shell; it holds no password. owner_url: the address with
    the login of the owner of the tables, as whom migrations run.
    """

    url: str
    psql_command: str
    owner_url: str


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Gives the database's address; an embedded server runs at least as long as the block.

    Blocks while an embedded server starts or stops. Raises ConfigError or
    DatabaseUnreachableError when the embedded server cannot be started.
    """
    if settings.database_url:
        address = Address.parse(settings.database_url)
        shown = address.without_password().with_ssl_as("sslmode")
        url, psql_command = str(address.with_ssl_as("ssl")), shlex.join(["psql", str(shown)])
        owner = settings.owner_database_url
        owner_url = str(Address.parse(owner).with_ssl_as("ssl")) if owner else url
        yield Database(url, psql_command, owner_url)
        return
    with embedded.start(settings.embedded_dir) as server:
        yield Database(server.url, server.psql_command, server.url)


def revive(settings: Settings) -> None:
    """Starts the embedded server again, if it has ended under the command that uses it. Blocks.

    Does nothing for a server of one's own. What keeps it from starting is left to the next try.
    """
    if not settings.database_url:
        with suppress(SluiceError):
            embedded.start(settings.embedded_dir).stop()
