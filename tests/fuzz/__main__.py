"""`make fuzz MINUTES=10`: Hypothesis and atheris side by side; what breaks is in .hypothesis/fuzz.

A file found there goes, as it is, into tests/fuzz/regressions, and the defect is mended.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from tests.fuzz.findings import FOLDER


def main(minutes: str) -> int:
    before = set(FOLDER.glob("*__*"))
    tools = ["with_hypothesis"]
    if importlib.util.find_spec("atheris"):
        tools.append("with_atheris")
    else:
        sys.stdout.write(
            "atheris is not there: it is made for Linux on x86_64, below Python 3.14\n"
        )
    running = [
        subprocess.Popen([sys.executable, "-m", f"tests.fuzz.{tool}", minutes]) for tool in tools
    ]
    ended = [each.wait() for each in running]
    found: list[Path] = sorted(set(FOLDER.glob("*__*")) - before)
    sys.stdout.writelines(f"found: {path}\n" for path in found)
    return 1 if any(ended) or found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
