"""Logs: one line an event, the load first, JSON where asked for, and no row in any trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars

from app import log
from app.errors import ConfigError
from app.settings import Settings


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Puts the root logger back as pytest had it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    for name in ("sqlalchemy", "sqlalchemy.engine"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()
    clear_contextvars()


def settings_in(folder: Path, **more: object) -> Settings:
    return Settings.model_validate({"logs_dir": folder / "logs", **more})


def written(folder: Path) -> list[str]:
    return (folder / "logs" / "test.log").read_text().splitlines()


def fail_with_a_row() -> None:
    row = "row 4711"
    raise ValueError(f"no such day\nDETAIL:  Failing row contains ({row}).\nHINT:  none")


def test_a_json_line_leads_with_the_load_and_keeps_its_facts(tmp_path: Path) -> None:
    log.set_up(settings_in(tmp_path, log_json=True), log_file="test.log")
    bind_contextvars(file="lo\u00e4ns.csv", load_id=7, pipeline="loans")

    structlog.get_logger().info("load finished", read=3)

    [line] = written(tmp_path)
    content = json.loads(line)
    timestamp = content.pop("timestamp")
    assert list(content.items()) == [
        ("load_id", 7),
        ("pipeline", "loans"),
        ("file", "lo\u00e4ns.csv"),
        ("read", 3),
        ("event", "load finished"),
        ("level", "info"),
    ]
    assert timestamp.endswith("Z")


@pytest.mark.parametrize("log_json", [True, False])
def test_a_trace_shows_where_and_no_row(log_json: bool, tmp_path: Path) -> None:
    log.set_up(settings_in(tmp_path, log_json=log_json), log_file="test.log")
    try:
        fail_with_a_row()
    except ValueError:
        structlog.get_logger().exception("load failed")

    text = "\n".join(written(tmp_path))
    assert "in fail_with_a_row" in text
    assert "ValueError: no such day" in text
    assert "HINT" in text
    assert "4711" not in text
    if log_json:
        assert len(written(tmp_path)) == 1


def test_lines_of_libraries_are_json_too(tmp_path: Path) -> None:
    log.set_up(settings_in(tmp_path, log_json=True), log_file="test.log")

    logging.getLogger("library").warning("odd: %s", 1)

    [line] = written(tmp_path)
    assert json.loads(line)["event"] == "odd: 1"


def test_a_full_log_file_makes_room_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "FILE_BYTES", 2000)
    log.set_up(settings_in(tmp_path), log_file="test.log")

    for number in range(200):
        structlog.get_logger().info("load finished", number=number)

    names = {path.name for path in (tmp_path / "logs").iterdir()}
    assert names == {"test.log", *(f"test.log.{n + 1}" for n in range(log.FILES_KEPT))}
    assert "number=199" in written(tmp_path)[-1]
    assert all(path.stat().st_size <= 2000 for path in (tmp_path / "logs").iterdir())


@pytest.mark.parametrize(("debug_logs", "count"), [(False, 1), (True, 2)])
def test_details_are_told_only_where_asked_for(
    debug_logs: bool, count: int, tmp_path: Path
) -> None:
    log.set_up(settings_in(tmp_path, debug_logs=debug_logs), log_file="test.log")

    structlog.get_logger().debug("file is complete")
    structlog.get_logger().info("load started")

    assert len(written(tmp_path)) == count


@pytest.mark.parametrize("debug_logs", [False, True])
@pytest.mark.parametrize(("echo_sql", "expected"), [(False, []), (True, ["SELECT 1"])])
def test_statements_are_told_once_where_asked_for_and_rows_never(
    debug_logs: bool, echo_sql: bool, expected: list[str], tmp_path: Path
) -> None:
    settings = settings_in(tmp_path, debug_logs=debug_logs, echo_sql=echo_sql, log_json=True)
    log.set_up(settings, log_file="test.log")

    logging.getLogger("sqlalchemy.engine.Engine").info("SELECT 1")
    logging.getLogger("sqlalchemy.engine.Engine").debug("Row %r", (4711,))
    logging.getLogger("sqlalchemy.pool.impl").debug("Connection checked out")

    assert [json.loads(line)["event"] for line in written(tmp_path)] == expected


def test_a_log_folder_that_cannot_be_written_to_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")

    with pytest.raises(ConfigError, match="LOGS_DIR"):
        log.set_up(settings_in(tmp_path), log_file="test.log")
