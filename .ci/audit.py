"""Asks for known vulnerabilities of the packages that Pipfile.lock pins; the end of `make lint`.

A vulnerability that is known fails. Where nobody can be asked, one line says of how many packages
nothing is known, so that silence does not look like health.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "Pipfile.lock"
ANSWER_SECONDS = "5"
Report = Mapping[str, Sequence[Mapping[str, Any]]]


def pins(lock: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Gives every pinned package as `name==version`."""
    return sorted(
        {
            f"{name}{entry['version']}"
            for part in ("default", "develop")
            for name, entry in lock[part].items()
        }
    )


def ask(pinned: Sequence[str]) -> Report | None:
    """Gives what pip-audit reports of exactly these versions, None where it could not ask."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("\n".join(pinned))
        requirements.flush()
        options = ("--format", "json", "--progress-spinner", "off", "--timeout", ANSWER_SECONDS)
        ended = subprocess.run(  # noqa: S603 - our own words
            [
                sys.executable,
                "-m",
                "pip_audit",
                *options,
                "--disable-pip",
                "--no-deps",
                "-r",
                requirements.name,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        report: Report = json.loads(ended.stdout)
    except ValueError:
        return None
    return report


def judge(pinned: Sequence[str], report: Report | None) -> tuple[list[str], int]:
    """Gives the lines to print and the exit code."""
    packages = report["dependencies"] if report else []
    lines = [
        f"{package['name']} {package['version']}: {found['id']},"
        f" mended in {', '.join(found['fix_versions']) or 'no version yet'}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    asked = sum("vulns" in package for package in packages)
    said = f"{len(lines)} known vulnerabilities in {asked} packages"
    if unasked := len(pinned) - asked:
        said += f"; {unasked} packages could not be asked about"
    return [*lines, f"pip-audit: {said}"], 1 if lines else 0


def main() -> int:
    pinned = pins(json.loads(LOCK.read_text(encoding="utf-8")))
    lines, code = judge(pinned, ask(pinned))
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
