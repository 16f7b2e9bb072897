"""Starts commands, each forked from this program, which has imported everything already.

What is forked is what `python -m app ...` is after its imports: no event loop, no connection, no
thread of ours, no row read yet. `warm_start.WarmStart` gives it an order a line: to start a
command, or to tell how one ended. When the orders end, so do all commands.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import warnings
from collections.abc import Sequence
from pkgutil import iter_modules
from typing import Any

import app.commands
import app.tables
from app.pipelines import all_pipelines

APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


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
        outputs = [os.open(order[name], APPEND) for name in ("out", "err")]
        child = os.fork()
        if not child:
            become(order, outputs)
        for descriptor in outputs:
            os.close(descriptor)
        running.add(child)
        say(str(child))
    for child in running:
        os.kill(child, signal.SIGKILL)


def say(answer: str) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


def become(order: dict[str, Any], outputs: Sequence[int]) -> None:
    """Runs a command in this process, and ends it."""
    os.chdir(order["folder"])
    for number, descriptor in enumerate([os.open(os.devnull, os.O_RDONLY), *outputs]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["app", *order["words"]]
    runpy.run_module("app", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # Not the modules below app.cli: they look at the terminal they are imported at.
    for module in iter_modules(app.commands.__path__, "app.commands."):
        importlib.import_module(module.name)
    assert app.tables
    all_pipelines()
    serve()
