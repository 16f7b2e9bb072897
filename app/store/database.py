"""Opens the database of the settings: the one of `DATABASE_URL`, else the embedded server."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import URL

from app.settings import Settings
from app.store import embedded
from app.store.engine import engine_url


@dataclass(frozen=True, slots=True)
class Database:
    """A database that can be reached.

    psql_command: a line to paste into a shell; it holds no password.
    """

    url: str
    psql_command: str


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Gives the database's address; an embedded server runs at least as long as the block.

    Blocks while an embedded server starts or stops. Raises ConfigError or
    DatabaseUnreachableError when the embedded server cannot be started.
    """
    if settings.database_url:
        url = engine_url(settings.database_url).set(drivername="postgresql")
        shown = with_ssl_as("sslmode", url)._replace(password=None)  # `set` keeps it
        address = with_ssl_as("ssl", url).render_as_string(hide_password=False)
        yield Database(address, shlex.join(["psql", str(shown)]))
        return
    with embedded.start(settings.embedded_dir) as server:
        yield Database(server.url, server.psql_command)


def with_ssl_as(name: str, url: URL) -> URL:
    """Gives the address with its SSL option under the name of asyncpg (ssl) or psql (sslmode)."""
    mode = url.query.get("sslmode") or url.query.get("ssl")
    bare = url.difference_update_query(("ssl", "sslmode"))
    return bare.update_query_dict({name: mode}) if mode else bare
