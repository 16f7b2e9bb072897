"""Runs the soak: MINUTES (20) of it, from SEED, in a folder that goes unless KEEP is set."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from rich.console import Console

from tests.soak.run import soak
from tests.soak.verdict import Verdict


def main() -> int:
    """Gives 0 when all is as it should be, else 1."""
    minutes = float(os.environ.get("MINUTES") or 20)
    seed = int(os.environ.get("SEED") or random.randrange(10**9))
    console = Console(width=110 if not sys.stdout.isatty() else None)
    folder = Path(mkdtemp(prefix="sluice-soak-"))
    console.print(f"soak: {minutes:g} minutes, SEED={seed}, in {folder}", highlight=False)
    verdict, began = Verdict(), time.monotonic()
    try:
        asyncio.run(soak(folder, minutes * 60, seed, verdict))
    finally:
        spent = (time.monotonic() - began) / 60
        verdict.show(console, f"{spent:.1f} minutes, SEED={seed}")
        if verdict.is_good and not os.environ.get("KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f"everything is kept in {folder}", highlight=False)
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
