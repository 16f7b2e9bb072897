"""Settings: from the environment and `.env`, under every name, with errors people can mend."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from app.errors import ConfigError
from app.secret_files import SECRETS
from app.settings import Settings, is_local, load_settings

PROJECT = Path(__file__).parents[2]
ELSEWHERE = {"KAFKA_BOOTSTRAP_SERVERS"}
CONTAINERS_ONLY = {
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "POSTGRES_DB",
    "PULL_SCHEDULE",
    "SOURCE_PASSWORD",
}
FILES = {f"{name}_FILE" for names in SECRETS for name in names}
URL = "postgresql://reader:hush@db.example:5432/lake"


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to read `.env` from, and an environment without our names."""
    ours = {name.upper() for name in Settings.model_fields} | {"DB_STRING", "DB_STRING_ASYNC"}
    ours |= FILES
    for name in list(os.environ):
        if name.upper() in ours:
            monkeypatch.delenv(name)
    for name in ("PGHOST", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    return tmp_path


def test_defaults_are_those_the_design_lists() -> None:
    found = {name: getattr(load_settings(), name) for name in Settings.model_fields}

    assert found == {
        "database_url": None,
        "owner_database_url": None,
        "sluice_app_password": None,
        "sluice_reader_password": None,
        "embedded_dir": Path(".data/postgres"),
        "source_database_url": None,
        "source_timeout_seconds": 600.0,
        "random_main_controller": 100,
        "kafka_bootstrap_servers": None,
        "kafka_security_protocol": "PLAINTEXT",
        "kafka_sasl_mechanism": None,
        "kafka_sasl_username": None,
        "kafka_sasl_password": None,
        "kafka_ssl_ca_location": None,
        "kafka_ssl_certificate_location": None,
        "kafka_ssl_key_location": None,
        "kafka_ssl_key_password": None,
        "kafka_group": "sluice",
        "kafka_batch_rows": 10_000,
        "kafka_batch_seconds": 1.0,
        "kafka_session_seconds": 10.0,
        "staging_schema": "staging",
        "dw_schema": "warehouse",
        "imports_dir": Path("imports"),
        "exports_dir": Path("exports"),
        "logs_dir": Path("logs"),
        "archive_dir": None,
        "on_success": "archive",
        "workers": 2,
        "settle_seconds": 1.0,
        "sweep_seconds": 10.0,
        "force_polling": False,
        "stale_file_seconds": 3600.0,
        "max_rejected_ratio": 0.1,
        "max_rejected_rows": None,
        "max_kept_rejects": 100_000,
        "max_uncompressed_bytes": 16 * 1024**3,
        "max_compression_ratio": 200.0,
        "max_line_bytes": 1024**2,
        "max_columns": 2000,
        "max_parquet_memory_bytes": 512 * 1024**2,
        "init_db": True,
        "dev": False,
        "debug_logs": False,
        "echo_sql": False,
        "log_json": False,
    }


def test_the_archive_and_the_quarantine_lie_in_the_imports_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMPORTS_DIR", "/srv/in")

    assert load_settings().archive_folder == Path("/srv/in/.archive")
    assert load_settings().quarantine_folder == Path("/srv/in/.quarantine")

    monkeypatch.setenv("ARCHIVE_DIR", "/srv/kept")
    assert load_settings().archive_folder == Path("/srv/kept")


@pytest.mark.parametrize("name", ["WORKERS", "workers", "Workers"])
def test_the_case_of_a_name_does_not_matter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "7")

    assert load_settings().workers == 7


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "DB_STRING_ASYNC", "DB_STRING", "database_url", "db_string"]
)
@pytest.mark.parametrize("source", ["environment", ".env"])
def test_the_database_has_three_names(
    name: str, source: str, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == ".env":
        (outside / ".env").write_text(f"{name}={URL}\n")
    else:
        monkeypatch.setenv(name, URL)

    assert load_settings().database_url == URL


def test_the_first_of_the_three_names_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_STRING", "postgresql:///third")
    monkeypatch.setenv("DB_STRING_ASYNC", "postgresql+asyncpg:///second")
    assert load_settings().database_url == "postgresql+asyncpg:///second"

    monkeypatch.setenv("DATABASE_URL", "postgresql:///first")
    assert load_settings().database_url == "postgresql:///first"


def test_the_environment_wins_over_the_file(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (outside / ".env").write_text("WORKERS=3\nSWEEP_SECONDS=4\nDATABASE_URL=postgresql:///file\n")
    monkeypatch.setenv("WORKERS", "5")
    monkeypatch.setenv("DB_STRING", "postgresql:///environment")

    found = load_settings()

    assert (found.workers, found.sweep_seconds) == (5, 4.0)
    assert found.database_url == "postgresql:///environment"


def test_an_empty_value_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_REJECTED_ROWS", "")
    monkeypatch.setenv("DATABASE_URL", "")

    assert load_settings().max_rejected_rows is None
    assert load_settings().database_url is None


def test_names_that_are_not_ours_are_left_alone(outside: Path) -> None:
    (outside / ".env").write_text("POSTGRES_PASSWORD=hush\nSOMETHING=else\n")

    assert load_settings() == Settings()


WRONG = [
    ("WORKERS", "two"),
    ("WORKERS", "0"),
    ("SETTLE_SECONDS", "-1"),
    ("SWEEP_SECONDS", "0"),
    ("MAX_REJECTED_RATIO", "1.5"),
    ("MAX_REJECTED_ROWS", "-1"),
    ("MAX_KEPT_REJECTS", "0"),
    ("MAX_UNCOMPRESSED_BYTES", "much"),
    ("MAX_UNCOMPRESSED_BYTES", "0"),
    ("MAX_COMPRESSION_RATIO", "0.5"),
    ("MAX_LINE_BYTES", "100"),
    ("MAX_LINE_BYTES", "1TiB"),
    ("MAX_COLUMNS", "0"),
    ("MAX_PARQUET_MEMORY_BYTES", "1MiB"),
    ("ON_SUCCESS", "keep"),
    ("DEV", "perhaps"),
    ("DW_SCHEMA", "Data Warehouse"),
    ("STAGING_SCHEMA", 'x"; DROP SCHEMA ops; --'),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named_with_what_was_found(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError) as caught:
        load_settings()

    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[0] == "Wrong settings:"
    assert lines[1].startswith(f"  {name}: ")
    assert lines[1].endswith(f"(found {value!r})")


def test_each_wrong_setting_has_a_line_of_its_own(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / ".env").write_text("SWEEP_SECONDS=never\n")
    monkeypatch.setenv("WORKERS", "many")
    monkeypatch.setenv("DATABASE_URL", "mysql://reader:hush@localhost/lake")

    with pytest.raises(ConfigError) as caught:
        load_settings()

    lines = str(caught.value).splitlines()
    assert lines[0] == "Wrong settings:"
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == [
        "DATABASE_URL",
        "SWEEP_SECONDS",
        "WORKERS",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "lake",
        "mysql://reader:hush@localhost/lake",
        "postgresql://reader:hush@localhost:port/lake",
        "postgresql://reader:hush@localhost:70000/lake",
        "postgresql://reader:hush@[::1/lake",
        "reader:hush@localhost/lake",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_STRING", url)

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert str(caught.value) == (
        "Wrong settings:\n  DATABASE_URL: expected an address like"
        " postgresql://user:password@host:5432/database"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "service=prod",
            "the address has the option 'service'; known are host, port, ssl, sslmode",
        ),
        ("host=/tmp&port=x", "the address needs numbers as port and, as sslmode, one of "),
        ("sslmode=maybe", "the address needs numbers as port and, as sslmode, one of "),
    ],
)
def test_an_option_that_cannot_work_is_refused(
    option: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://reader:hush@/lake?{option}")

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert f"\n  DATABASE_URL: {message}" in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("staging", "warehouse"), [("lake", "lake"), ("ops", "warehouse"), ("staging", "ops")]
)
def test_the_three_schemas_need_three_names(
    staging: str, warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGING_SCHEMA", staging)
    monkeypatch.setenv("DW_SCHEMA", warehouse)

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert str(caught.value) == (
        "Wrong settings:\n  STAGING_SCHEMA and DW_SCHEMA need two different names, and not 'ops'"
        f" (found {staging!r} and {warehouse!r})"
    )


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hush")
    monkeypatch.setenv("KAFKA_SSL_KEY_PASSWORD", "hush")

    assert "hush" not in repr(load_settings())
    assert "hush" not in str(load_settings())

    monkeypatch.setenv("DEV", "true")
    monkeypatch.setenv("WORKERS", "many")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "hush" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_a_clear_error(outside: Path) -> None:
    (outside / ".env").write_bytes(b"IMPORTS_DIR=eing\xe4nge\n")

    with pytest.raises(ConfigError, match=r"^\.env cannot be read: .*UTF-8"):
        load_settings()


LOCAL = [
    "postgresql:///lake",
    "postgresql://localhost/lake",
    "postgresql://me:hush@127.0.0.1:5433/lake",
    "postgresql://[::1]/lake",
    "postgresql://me@/lake?host=/var/run/postgresql",
    "postgresql://me@/lake?host=%2Ftmp%2Fsockets",
    "postgresql://me@/lake?host=localhost",
]
REMOTE = [
    URL,
    "postgresql://10.0.0.5/lake",
    "postgresql://localhost.example/lake",
    "postgresql://localhost,db.example/lake",
    "postgresql://me@/lake?host=db.example",
    "postgresql://me@/lake?host=/tmp&host=db.example:5432",
    "postgresql://localhost/lake?host=db.example",
    "postgresql://localhost#@db.example/lake",
]


@pytest.mark.parametrize("url", LOCAL)
def test_loopback_and_sockets_are_local(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEV", "true")
    monkeypatch.setenv("DATABASE_URL", url)

    assert is_local(url)
    assert load_settings().dev


@pytest.mark.parametrize("url", REMOTE)
def test_dev_is_refused_for_another_host(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEV", "true")
    monkeypatch.setenv("DATABASE_URL", url)

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert str(caught.value) == (
        "Wrong settings:\n  DEV=true drops all tables at start and is refused for a database"
        " on another host"
    )


@pytest.mark.parametrize("name", ["PGHOST", "PGSERVICE"])
def test_dev_is_refused_where_the_driver_would_take_another_host_from_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEV", "true")
    monkeypatch.setenv("DATABASE_URL", "postgresql:///lake")
    monkeypatch.setenv(name, "db.example")

    with pytest.raises(ConfigError, match="another host"):
        load_settings()


def test_the_example_file_lists_every_setting_with_its_default(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    lines = re.findall(r"^(# )?([A-Z_]+)=(.*)$", example, re.MULTILINE)
    listed = [name for _, name, _ in lines]
    fields = {name.upper() for name in Settings.model_fields}

    assert sorted(listed) == sorted(fields | FILES | ELSEWHERE | CONTAINERS_ONLY)

    # Uncommented as they stand, the lines change nothing but where the database and archive are.
    uncommented = [f"{name}={value}" for _, name, value in lines if name != "DATABASE_URL"]
    (outside / ".env").write_text("\n".join(uncommented))
    assert load_settings() == Settings(archive_dir=Path("imports/.archive"))
