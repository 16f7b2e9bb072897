"""What the versions of the features are: their columns, and the query that gives their values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from app.errors import ConfigError
from app.store.scripts import read_script

# By version. A change to what an activated one gives is a new version, with a file of its own.
FEATURES = {
    0: ("ma50",),
    1: ("ma50", "ma100"),
    2: ("ma50", "ma100"),
}


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of the features, as this code has it.

    text: the query as it stands in `sql/features/`. definition_hash: its SHA-256, in hex.
    """

    version: int
    features: tuple[str, ...]
    text: str

    @property
    def script(self) -> str:
        """Name of the query's script."""
        return f"features/v{self.version}"

    @property
    def definition_hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def all_definitions() -> tuple[Definition, ...]:
    """Gives every version this code has, in their order."""
    return tuple(definition_of(version) for version in FEATURES)


def definition_of(version: int) -> Definition:
    """Gives one version. Raises ConfigError when this code has none of that number."""
    if version not in FEATURES:
        known = ", ".join(map(str, FEATURES))
        raise ConfigError(f"There is no version {version} of the features; there are {known}")
    return Definition(version, FEATURES[version], read_script(f"features/v{version}"))
