"""Structured logs: one line an event, for people at a terminal or as JSON, and a file that rotates.

`load_id`, `pipeline` and `file` come from structlog's context, bound where a load begins.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from logging.handlers import RotatingFileHandler

# structlog would import rich, for traces with more than ours show; a sixth of what a quick command
# imports. Whoever needs rich imports it later.
if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

if sys.modules["rich"] is None:
    del sys.modules["rich"]

from app.errors import ConfigError
from app.settings import Settings

FILE_BYTES = 10 << 20
FILES_KEPT = 5
# What a reader looks for first stands first.
LEADING = ("load_id", "pipeline", "file")


def set_up(settings: Settings, *, quiet: bool = False, log_file: str | None = None) -> None:
    """Sends logs to standard output, and to `logs_dir/log_file` where one is named.

    quiet: only warnings, and on standard error, for commands that print a result themselves.

    Raises ConfigError when the log folder cannot be written to.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        lead_with_the_load,
        # Plain frames: rich ones would show local variables, and with them rows.
        structlog.processors.ExceptionRenderer(trace_without_rows),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    stream = sys.stderr if quiet else sys.stdout
    plain = _formatter(settings, shared, colors=False)
    screen = logging.StreamHandler(stream)
    screen.setFormatter(_formatter(settings, shared, colors=True) if stream.isatty() else plain)
    handlers: list[logging.Handler] = [screen]
    if log_file:
        file = _rotating_file(settings, log_file)
        file.setFormatter(plain)
        handlers.append(file)
    usual = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(
        handlers=handlers, level=logging.DEBUG if settings.debug_logs else usual, force=True
    )
    # SQLAlchemy's own DEBUG lines hold rows.
    for noisy in ("asyncio", "watchfiles", "alembic", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Not the engine's `echo`, which would print to standard output, beside these handlers.
    statements = logging.INFO if settings.echo_sql else logging.WARNING
    logging.getLogger("sqlalchemy.engine").setLevel(statements)


class OnceFormatter(structlog.stdlib.ProcessorFormatter):
    """Formats a line once for all who ask: the screen, the file, and the look at its size."""

    _newest: tuple[logging.LogRecord | None, str] = (None, "")

    def format(self, record: logging.LogRecord) -> str:
        newest, text = self._newest
        if newest is not record:
            text = super().format(record)
            self._newest = record, text
        return text


def trace_without_rows(exc_info: ExcInfo) -> str:
    """Gives the trace, without the lines in which PostgreSQL quotes the row at fault."""
    trace = "".join(traceback.format_exception(*exc_info))
    return re.sub(r"^DETAIL: .*\n", "", trace, flags=re.MULTILINE).rstrip("\n")


def lead_with_the_load(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Puts the load, its pipeline and its file before all other facts; leaves out empty ones."""
    leading = {name: event.pop(name) for name in LEADING if name in event}
    return {name: fact for name, fact in {**leading, **event}.items() if fact is not None}


def _formatter(
    settings: Settings, shared: list[Processor], *, colors: bool
) -> structlog.stdlib.ProcessorFormatter:
    as_json: list[Processor] = [structlog.processors.JSONRenderer(ensure_ascii=False)]
    for_people: list[Processor] = [
        structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, pad_event_to=24)
    ]
    return OnceFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(as_json if settings.log_json else for_people),
        ],
    )


def _rotating_file(settings: Settings, name: str) -> RotatingFileHandler:
    try:
        settings.logs_dir.mkdir(parents=True, exist_ok=True)
        return RotatingFileHandler(
            settings.logs_dir / name, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
        )
    except OSError as error:
        raise ConfigError(
            f"The log folder {settings.logs_dir} cannot be written to ({error.strerror});"
            " make it writable for this user or set LOGS_DIR"
        ) from error
