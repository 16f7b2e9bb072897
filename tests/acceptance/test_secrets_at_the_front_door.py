"""What is printed, logged, noted and kept while things go wrong, with a password to look for."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from tests.acceptance.file_contents import entity_csv, loans_csv, some_loans, some_values
from tests.acceptance.front_door import Daemon, Front

CANARY = "kanarienvogel"
TALKATIVE = {"DEBUG_LOGS": "true", "ECHO_SQL": "true"}
# No such error is foreseen, so the load fails, with its trace in the log.
BREAK_LOANS = """
    CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'nobody foresaw this'; END $$;
    CREATE TRIGGER break BEFORE INSERT ON warehouse.loans FOR EACH ROW EXECUTE FUNCTION break();
"""


@pytest.fixture
def secretive(front: Front) -> Front:
    """The front door with a password in its address, which the tests' server does not ask for."""
    assert front.settings.database_url
    url = make_url(front.settings.database_url).set(password=CANARY)
    address = url.render_as_string(hide_password=False)
    return Front(front.settings.model_copy(update={"database_url": address}), front.sql)


def kept_texts(front: Front) -> list[str]:
    """Every file that was written anywhere below the test's folder."""
    files = [path for path in front.settings.imports_dir.parent.rglob("*") if path.is_file()]
    return [path.read_text(encoding="utf-8", errors="replace") for path in files]


async def test_no_log_note_or_table_holds_a_password(secretive: Front) -> None:
    await secretive.sql.execute(BREAK_LOANS)
    daemon = Daemon(secretive.settings, **TALKATIVE)
    await daemon.start()
    secretive.drop("entity_2023_01.csv", entity_csv(some_values(5)))
    secretive.drop("loans.csv", loans_csv(some_loans(5)))
    secretive.drop("customers.csv", b"name\nAda\n")
    loads = await secretive.filed(3)
    await daemon.stop()
    _, status = await secretive.command("status", "--json", **TALKATIVE)

    assert {load["file_name"]: load["status"] for load in loads} == {
        "entity_2023_01.csv": "loaded",
        "loans.csv": "failed",
        "customers.csv": "quarantined",
    }
    said = "\n".join([*daemon.lines, status, *kept_texts(secretive), repr(loads)])
    assert "nobody foresaw this" in said
    assert "INSERT INTO" in said
    assert "expected a name that fits a feed" in said
    assert CANARY not in said


@pytest.mark.parametrize(
    ("words", "more", "code"),
    [
        (("migrate",), {"SLUICE_APP_PASSWORD": CANARY, "SLUICE_READER_PASSWORD": CANARY}, 0),
        (("pull",), {"SOURCE_DATABASE_URL": f"postgresql://me:{CANARY}@127.0.0.1:1/lake"}, 3),
        (
            ("stream",),
            {
                "DATABASE_URL": f"postgresql://me:{CANARY}@127.0.0.1:1/lake",
                "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
                "INIT_DB": "true",
            },
            3,
        ),
    ],
    ids=["migrate", "pull", "stream"],
)
async def test_no_command_prints_a_password(
    words: tuple[str, ...], more: dict[str, str], code: int, secretive: Front
) -> None:
    ended, printed = await secretive.command(*words, **TALKATIVE, **more)

    assert ended == code, printed
    assert CANARY not in "\n".join([printed, *kept_texts(secretive)])
