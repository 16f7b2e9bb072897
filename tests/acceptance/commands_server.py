"""Runs commands, each in a process forked from this one, which has imported all of them already.

Started by `forked.Commands` as a program of its own: it has no event loop, no connection and no
thread of ours, so what it forks is what `python -m app` is right after its imports. It takes one
order a line, and answers with the number of the process and, once that is over, how it ended.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import warnings
from typing import Any

from app import cli
from app.cli import COMMANDS
from app.pipelines import all_pipelines


def serve() -> None:
    """Forks a process for each order; returns at the end of the orders."""
    # Polars warns of every fork, as a child of a program that used it could hang.
    warnings.simplefilter("ignore")
    for module in COMMANDS:
        __import__(f"app.cli.{module}")
    all_pipelines()
    gc.freeze()
    say("ready")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(json.loads(line))
        say(child)
        _, status = os.waitpid(child, 0)
        say(os.waitstatus_to_exitcode(status))


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def become(order: dict[str, Any]) -> None:
    """Runs the command in this process, and ends it."""
    os.chdir(order["folder"])
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["app", *order["words"]]
    cli.main()


if __name__ == "__main__":
    serve()
