"""Opens the database of the settings: the one of `DATABASE_URL`, else the embedded server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.settings import Settings
from app.store import embedded


@contextmanager
def open_database(settings: Settings) -> Iterator[str]:
    """Gives the database's address; an embedded server runs at least as long as the block.

    Blocks while an embedded server starts or stops. Raises ConfigError or
    DatabaseUnreachableError when the embedded server cannot be started.
    """
    if settings.database_url:
        yield settings.database_url
        return
    with embedded.start(settings.embedded_dir) as server:
        yield server.url
