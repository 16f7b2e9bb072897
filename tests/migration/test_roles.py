"""Roles belong to a whole server: made once, kept while any database needs them, or not at all."""

from __future__ import annotations

import asyncio
import base64
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp

import pytest
from alembic import command
from sqlalchemy import make_url
from structlog.testing import capture_logs

from app.errors import ConfigError
from app.settings import Settings
from app.store import embedded, migrate, roles
from tests.conftest import database_at, execute
from tests.migration import catalogue
from tests.migration.test_migrating_in_use import run

OURS = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'sluice%' ORDER BY 1"
BOTH = [("sluice_app",), ("sluice_reader",)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server with nothing of Sluice in it."""
    folder = Path(mkdtemp(prefix="sluice-roles-"))
    with embedded.start(folder / "postgres") as started:
        yield started.url
    shutil.rmtree(folder, ignore_errors=True)


def new_database(server: str, owner: str = "DEFAULT") -> str:
    """Makes a database on that server and gives its address."""
    name = f"of_{uuid.uuid4().hex[:8]}"
    asyncio.run(execute(server, f"CREATE DATABASE {name} OWNER {owner}"))
    return database_at(server, name)


def upgrade(url: str, **more: str) -> None:
    migrate.upgrade(Settings(database_url=url, **more), url)  # type: ignore[arg-type]


def downgrade(url: str) -> None:
    command.downgrade(migrate.alembic_config(Settings(), url), "0007")


def test_databases_of_one_server_make_the_roles_together_and_the_last_one_drops_them(
    server: str, tmp_path: Path
) -> None:
    databases = [new_database(server) for _ in range(3)]
    assert catalogue.ask(server, OURS) == []

    with ThreadPoolExecutor() as threads:
        ended = threads.map(
            lambda url: run(tmp_path, "app", "migrate", DATABASE_URL=url), databases
        )
    assert [each.stderr for each in ended] == [""] * 3
    assert catalogue.ask(server, OURS) == BOTH

    for database in databases[:2]:
        downgrade(database)
        assert catalogue.ask(server, OURS) == BOTH
    asyncio.run(execute(server, "CREATE ROLE analyst IN ROLE sluice_reader"))
    downgrade(databases[2])
    assert catalogue.ask(server, OURS) == [("sluice_reader",)]
    upgrade(databases[2])
    assert catalogue.ask(server, OURS) == BOTH
    asyncio.run(execute(server, "DROP ROLE analyst"))
    downgrade(databases[2])
    assert catalogue.ask(server, OURS) == []


def test_an_owner_who_may_make_no_roles_migrates_and_is_told_what_to_run(server: str) -> None:
    asyncio.run(execute(server, "CREATE ROLE plain LOGIN"))
    at_plain = make_url(new_database(server, "plain")).set(username="plain")
    url = at_plain.render_as_string(hide_password=False)

    with capture_logs() as logs:
        upgrade(url)
    assert [
        (line["event"], line["missing"]) for line in logs if line["log_level"] == "warning"
    ] == [("roles not made", "sluice_app, sluice_reader")]
    [to_do] = [line["to_do"] for line in logs if "to_do" in line]
    asyncio.run(execute(server, to_do.split("run: ")[1].split(" then")[0]))

    with capture_logs() as logs:
        upgrade(url)
    assert logs == []
    rights = "SELECT has_table_privilege('sluice_app', 'ops.load', 'INSERT')"
    assert catalogue.ask(url, rights) == [(True,)]
    downgrade(url)
    assert catalogue.ask(server, OURS) == BOTH
    asyncio.run(execute(server, "DROP ROLE sluice_app, sluice_reader"))


def test_what_the_service_may_not_migrate_says_who_may(server: str) -> None:
    url = new_database(server)
    upgrade(url)
    at_app = make_url(url).set(username=roles.APP)

    with pytest.raises(ConfigError) as caught:
        upgrade(at_app.render_as_string(hide_password=False))

    assert str(caught.value) == (
        "Migrations need the rights of postgres, who owns the tables, and this address is"
        " sluice_app's. Set OWNER_DATABASE_URL to one of postgres's, or INIT_DB=false where"
        " migrations are run elsewhere."
    )
    downgrade(url)


def test_the_settings_passwords_are_given_to_the_roles(server: str) -> None:
    url = new_database(server)
    upgrade(url, sluice_app_password="of the app", sluice_reader_password="of the reader")

    for role, password in ((roles.APP, "of the app"), (roles.READER, "of the reader")):
        ask = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'"
        [(kept,)] = catalogue.ask(url, ask)
        assert kept == kept_by_the_server(server, password, kept)
    downgrade(url)


def kept_by_the_server(server: str, password: str, like: str) -> str:
    """What the app computes for the password, once the server's own form was found the same."""
    name = f"as_server_{uuid.uuid4().hex[:8]}"
    asyncio.run(execute(server, f"CREATE ROLE {name} PASSWORD '{password}'"))
    [(own,)] = catalogue.ask(server, f"SELECT rolpassword FROM pg_authid WHERE rolname = '{name}'")
    asyncio.run(execute(server, f"DROP ROLE {name}"))
    assert roles.verifier(password, salt_of(own)) == own
    return roles.verifier(password, salt_of(like))


def salt_of(verifier: str) -> bytes:
    return base64.b64decode(verifier.split("$")[1].split(":")[1])


def test_an_owner_who_is_no_superuser_makes_the_roles_and_lets_the_service_work(
    server: str,
) -> None:
    asyncio.run(execute(server, "CREATE ROLE maker LOGIN CREATEROLE"))
    url = new_database(server, "maker")
    asyncio.run(execute(url, f"REVOKE ALL ON DATABASE {make_url(url).database} FROM PUBLIC"))
    at_maker = make_url(url).set(username="maker").render_as_string(hide_password=False)

    upgrade(at_maker, sluice_app_password="of the app", sluice_reader_password="of the reader")

    at_app = make_url(url).set(username=roles.APP).render_as_string(hide_password=False)
    month = "CALL ops.stage_entity(1, '2023-01-01'); CALL ops.key_entity(1, '2023-01-01');"
    month += "CALL ops.promote_entity(1, '2023-01-01');"
    filled = "INSERT INTO warehouse.entity VALUES ('2023-01-05', 1, 1, 1);"
    temporary = "CREATE TEMPORARY TABLE entity_change AS SELECT * FROM warehouse.entity_2023_01;"
    again = "CALL ops.stage_entity(2, '2023-01-01'); CALL ops.withdraw_entity('2023-01-01');"
    again += "CALL ops.promote_entity(2, '2023-01-01');"
    asyncio.run(execute(at_app, month, filled, temporary, again))
    assert catalogue.ask(at_app, "SELECT * FROM warehouse.entity") == []
    asked = "SELECT has_database_privilege('sluice_reader', current_database(), $1)"
    assert catalogue.ask(url, asked, "CONNECT") == [(True,)]
    assert catalogue.ask(url, asked, "TEMPORARY") == [(False,)]
    downgrade(at_maker)
    assert catalogue.ask(server, OURS) == []
