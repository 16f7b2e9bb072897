"""Starts services, each forked from this program, which has imported everything already.

A service that is forked is what `python -m app watch` is after its imports: no event loop, no
connection, no row read yet. The modules to import besides are this program's arguments.
`services.WarmStart` gives it an order a line: to start a service, or to tell how one ended. When
the orders end, so do all services.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import warnings
from typing import Any

import app.cli.serving
from app import cli


def serve() -> None:
    """Follows orders until there are no more of them."""
    # Polars warns of every fork, as the child of a program that used it could hang.
    warnings.simplefilter("ignore")
    gc.freeze()
    say("ready")
    running: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "ended" in order:
            _, status = os.waitpid(order["ended"], 0)
            running.remove(order["ended"])
            say(str(os.waitstatus_to_exitcode(status)))
            continue
        child = os.fork()
        if not child:
            become(order)
        running.add(child)
        say(str(child))
    for child in running:
        os.kill(child, signal.SIGKILL)


def say(answer: str) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


def become(order: dict[str, Any]) -> None:
    """Runs a service in this process, and ends it."""
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
    assert app.cli.serving.group
    for name in sys.argv[1:]:
        importlib.import_module(name)
    serve()
