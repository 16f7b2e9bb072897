"""What all tests share: one real PostgreSQL for the run, and a fresh database for each test.

`TEST_DATABASE_URL` names a server on loopback to use; without it an embedded server runs in a
temporary folder.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from threading import Timer

import asyncpg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.secret_files import SECRETS
from app.settings import Settings
from app.store import embedded, migrate
from app.store.engine import connected_engine

SHARED_FILES = Path(__file__).parents[2] / "shared" / "data"
TEMPLATE = "sluice_template"
# No test ends the machine, and each one's database is hundreds of files to write.
HASTY = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "SELECT pg_reload_conf()",
)
# Past the time that a test has, and that the server of a run has to stop.
HUNG_SECONDS = 330.0


SCREEN = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SCREEN] = os.dup(2)  # before what is written there is kept for reports


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Has a test that cannot even be ended end its process: a call into C hears no signal."""
    with ended_if_hung(item.nodeid, item.config.stash[SCREEN]):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """The same at the end of a run."""
    with ended_if_hung("the end of the run", session.config.stash[SCREEN]):
        return (yield)


@contextmanager
def ended_if_hung(where: str, screen: int) -> Iterator[None]:
    """Ends this process, and says what each of its threads was at, if the block does not end."""

    def end() -> None:
        os.write(screen, f"\nhung for {HUNG_SECONDS:g} seconds: {where}\n".encode())
        faulthandler.dump_traceback(screen)
        os._exit(3)

    timer = Timer(HUNG_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Keeps the developer's own settings and `.env` out of every test."""
    secrets = {name for names in SECRETS for name in names}
    names = {"ARCHIVE_DIR", "LOG_JSON", "DEV", *secrets, *(f"{name}_FILE" for name in secrets)}
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    Settings.model_config["env_file"] = None
    yield
    os.environ.update(kept)


@pytest.fixture(scope="session")
def server_url(clean_environment: None) -> Iterator[str]:
    """Address of a running server, with no database of the tests in it yet."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(mkdtemp(prefix="sluice-tests-"))
    with embedded.start(folder / "postgres") as server:
        asyncio.run(execute(server.url, *HASTY))
        yield server.url
    shutil.rmtree(folder, ignore_errors=True)


def database_at(server_url: str, name: str) -> str:
    """The address of another database on the same server."""
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """Name of a migrated database that each test's database is cloned from."""
    name = f"{TEMPLATE}_{uuid.uuid4().hex[:8]}"
    asyncio.run(execute(server_url, f'CREATE DATABASE "{name}"'))
    migrate.upgrade(Settings(), database_at(server_url, name))
    return name


@pytest.fixture
def make_database(server_url: str) -> Iterator[Callable[..., str]]:
    """Makes databases that are dropped after the test: `make_database(template=None)`."""
    made: list[str] = []

    def make(template: str | None = None) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        source = f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""
        asyncio.run(execute(server_url, f'CREATE DATABASE "{name}"{source}'))
        made.append(name)
        return database_at(server_url, name)

    yield make
    for name in made:
        asyncio.run(execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def empty_database(make_database: Callable[..., str]) -> str:
    """Address of a database with nothing in it."""
    return make_database()


@pytest.fixture
def database(make_database: Callable[..., str], template: str) -> str:
    """Address of a migrated database of the test's own."""
    return make_database(template)


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    """Settings with the test's own database and folders."""
    for name in ("imports", "exports", "logs"):
        (tmp_path / name).mkdir()
    return Settings(
        database_url=database,
        imports_dir=tmp_path / "imports",
        exports_dir=tmp_path / "exports",
        logs_dir=tmp_path / "logs",
        settle_seconds=0.05,
    )


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine on the test's database."""
    assert settings.database_url
    async with connected_engine(settings.database_url, settings) as engine:
        yield engine


@pytest.fixture
async def sql(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection to look at the database with, as an analyst would."""
    connection = await asyncpg.connect(settings.database_url)
    yield connection
    await connection.close()
