"""The audit of pinned packages: what is known fails, and what is not known is said to be so."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[2]
PINNED = ["alembic==1.1", "polars==2.1", "rich==9.0"]
SOUND = {"name": "alembic", "version": "1.1", "vulns": []}
UNKNOWN = {"name": "rich", "skip_reason": "Dependency not found on PyPI and could not be audited"}
HOLED = {
    "name": "polars",
    "version": "2.1",
    "vulns": [
        {"id": "PYSEC-1", "fix_versions": ["2.2", "3.0"], "aliases": [], "description": ""},
        {"id": "PYSEC-2", "fix_versions": [], "aliases": [], "description": ""},
    ],
}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", PROJECT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_known_vulnerability_fails(audit: ModuleType) -> None:
    assert audit.judge(PINNED, {"dependencies": [SOUND, HOLED, UNKNOWN]}) == (
        [
            "polars 2.1: PYSEC-1, mended in 2.2, 3.0",
            "polars 2.1: PYSEC-2, mended in no version yet",
            "pip-audit: 2 known vulnerabilities in 2 packages; 1 packages could not be asked about",
        ],
        1,
    )


def test_packages_without_any_vulnerability_pass(audit: ModuleType) -> None:
    assert audit.judge(["alembic==1.1"], {"dependencies": [SOUND]}) == (
        ["pip-audit: 0 known vulnerabilities in 1 packages"],
        0,
    )


@pytest.mark.parametrize("report", [None, {"dependencies": [UNKNOWN] * 3}])
def test_silence_is_told_of(report: object, audit: ModuleType) -> None:
    assert audit.judge(PINNED, report) == (
        ["pip-audit: 0 known vulnerabilities in 0 packages; 3 packages could not be asked about"],
        0,
    )


def test_every_pinned_package_is_asked_about(audit: ModuleType) -> None:
    lock = json.loads((PROJECT / "Pipfile.lock").read_text())
    names = set(lock["default"]) | set(lock["develop"])

    pinned = audit.pins(lock)

    assert {pin.split("==")[0] for pin in pinned} == names
    assert f"polars{lock['default']['polars']['version']}" in pinned


def test_the_audit_is_part_of_lint() -> None:
    lint = (PROJECT / "Makefile").read_text().split("\nlint: setup\n")[1].split("\n\n")[0]

    assert "$(BIN)/python .ci/audit.py" in lint
