"""Secrets from files: every secret has a variant, one way at a time, and no error shows one."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import ConfigError
from app.secret_files import SECRETS
from app.settings import Settings, load_settings

NAMES = [name for names in SECRETS for name in names]
URL = "postgresql://loader:hush@db.example:5432/lake"


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to read `.env` from, and an environment without our secrets."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    return tmp_path


def test_every_setting_that_is_kept_out_of_sight_may_come_from_a_file() -> None:
    hidden = {name.upper() for name, field in Settings.model_fields.items() if not field.repr}

    assert hidden == {names[0] for names in SECRETS}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["environment", ".env", "lower case"])
def test_a_secret_is_read_from_the_file_that_its_setting_names(
    name: str, source: str, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / "secret").write_text(f"{URL}\n")
    named = f"{name}_FILE"
    if source == ".env":
        (outside / ".env").write_text(f"{named}={outside / 'secret'}\n")
    else:
        monkeypatch.setenv(named.lower() if source == "lower case" else named, "secret")
    if name == "OWNER_DATABASE_URL":
        monkeypatch.setenv("DATABASE_URL", "postgresql:///lake")
    field = next(names[0].lower() for names in SECRETS if name in names)

    found = load_settings()

    assert getattr(found, field) == URL
    assert "hush" not in repr(found)


def test_a_secret_that_comes_by_two_ways_is_refused(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / "secret").write_text(URL)
    (outside / ".env").write_text(f"DATABASE_URL_FILE={outside / 'secret'}\n")
    monkeypatch.setenv("DB_STRING", URL)

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert str(caught.value) == (
        "DB_STRING and DATABASE_URL_FILE are both set, and one of them is enough: remove the others"
    )


def test_two_files_for_one_secret_are_refused(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / "secret").write_text(URL)
    monkeypatch.setenv("DATABASE_URL_FILE", "secret")
    monkeypatch.setenv("DB_STRING_FILE", "secret")

    with pytest.raises(ConfigError, match="DATABASE_URL_FILE and DB_STRING_FILE are both set"):
        load_settings()


def test_what_is_set_to_nothing_counts_as_unset(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / "secret").write_text(URL)
    monkeypatch.setenv("DATABASE_URL_FILE", "secret")
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("SOURCE_DATABASE_URL_FILE", "")

    assert load_settings().database_url == URL
    assert load_settings().source_database_url is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "which cannot be read: No such file or directory"),
        (b"hush\xff", "which cannot be read: it is not UTF-8 text"),
        (b"\n", "which is empty"),
    ],
    ids=["missing", "not text", "empty"],
)
def test_a_file_that_holds_no_secret_is_told_of_by_its_setting(
    content: bytes | None, why: str, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (outside / "secret").write_bytes(content)
    monkeypatch.setenv("SLUICE_APP_PASSWORD_FILE", "secret")

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert str(caught.value) == f"SLUICE_APP_PASSWORD_FILE names secret, {why}"


def test_a_wrong_address_from_a_file_is_refused_without_showing_it(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / "secret").write_text("postgresql://loader:hu@sh@db.example/lake")
    monkeypatch.setenv("DATABASE_URL_FILE", "secret")

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert str(caught.value) == (
        "Wrong settings:\n  DATABASE_URL: an @ in the address's password has to be written as %40"
    )
    assert "sh@db" not in repr(caught.value.__cause__)


def test_an_owner_without_a_database_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWNER_DATABASE_URL", URL)

    with pytest.raises(ConfigError, match="OWNER_DATABASE_URL is set, and DATABASE_URL"):
        load_settings()
