"""The command line: which commands there are, and how their errors end.

This package alone prints. Each module of it is one group of commands, imported when one of them
runs. To add a command, write it in its group's module (or a new one, with a `group` of its own)
and name it in `COMMANDS`; what it does, apart from printing, belongs below, as in `app/commands/`.
Imports are most of a quick command's time: `--help` needs no group, and `derived`, whose commands
run every minute, nothing that only loads need (`tests/acceptance/test_cli_imports.py`).

Exit codes: 0 done, 1 data refused or not done now, 2 wrong usage or configuration, 3 no database
or broker.
"""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

from app.cli.ending import (
    DONE,
    MISUSED,
    REFUSED,
    UNREACHABLE,
    ReaderGoneError,
    end,
    fail,
    flush_output,
)
from app.cli.groups import Commands, CommandsOf
from app.errors import (
    BrokerUnreachableError,
    ConfigError,
    DatabaseUnreachableError,
    FileError,
    RetryableError,
)

# By module; each with the first line of its help, so that an overview imports none of them.
COMMANDS: CommandsOf = {
    "serving": {
        "run": ("Runs it all on this machine: database, migrations, watcher, refresh and export."),
        "watch": "Watches the imports folder and loads every complete file, until told to stop.",
        "migrate": (
            "Brings the schema to the newest revision;"
            " with DEV=true, drops all tables and rows first."
        ),
    },
    "loading": {
        "load": (
            "Loads files now, in the foreground; exits 0 only if all are loaded or duplicates."
        ),
        "replay": "Loads the archived or quarantined file of an earlier load again.",
        "sample": "Writes sample files of every feed into the imports folder.",
    },
    "asking": {
        "status": (
            "Shows what happened to each file, which ones wait and why,"
            " and how fresh the tables are."
        ),
        "rejects": (
            "Lists the rows a load rejected: line, column, reason and the row as it stands."
        ),
    },
    "derived": {
        "refresh": (
            "Brings the derived tables up to date; only what changed, unless told otherwise."
        ),
        "export": "Writes the exports; only files whose numbers changed, unless told otherwise.",
    },
    "features": {
        "features": (
            "Lists the versions of the risk-score features, activates, computes and compares them."
        ),
    },
    "streaming": {
        "produce": "Sends the rows of a risk scores file to a Kafka topic, a message each.",
        "stream": (
            "Loads the messages of a Kafka topic batch by batch, exactly once, until told to stop."
        ),
    },
    "sources": {
        "pull": "Brings the months that differ from the source database into the imports folder.",
        "simulate": (
            "Fills a month of the source database with random rows;"
            " all it held of the month is deleted."
        ),
    },
}

cli = Commands(COMMANDS, help="Files dropped into imports/ become trustworthy PostgreSQL tables.")


def main() -> NoReturn:
    """Runs a command; an error becomes one clear message and an exit code."""
    # Unwinding on SIGTERM too, so that an embedded server is not left behind.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    try:
        code = exit_code()
    finally:
        flush_output()
    end(code)


def exit_code() -> int:
    """Runs the command that the program's arguments name; gives its exit code."""
    try:
        cli()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else DONE
    except ConfigError as error:
        return fail(error, MISUSED)
    except (DatabaseUnreachableError, BrokerUnreachableError) as error:
        return fail(error, UNREACHABLE)
    except (FileError, RetryableError) as error:
        return fail(error, REFUSED)
    except ReaderGoneError:
        pass
    return DONE
