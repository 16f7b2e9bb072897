"""Secrets from files: `NAME_FILE` names a file that holds what `NAME` would say.

Containers are handed secrets so; the environment of a program is easier to see than a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.errors import ConfigError

# Every setting that is a secret, by all its names; the first is the one it is known by.
SECRETS = (
    ("DATABASE_URL", "DB_STRING_ASYNC", "DB_STRING"),
    ("OWNER_DATABASE_URL",),
    ("SOURCE_DATABASE_URL",),
    ("SLUICE_APP_PASSWORD",),
    ("SLUICE_READER_PASSWORD",),
    ("KAFKA_SASL_PASSWORD",),
    ("KAFKA_SSL_KEY_PASSWORD",),
)
SUFFIX = "_FILE"


def read_secret_files(given: Mapping[str, str | None]) -> dict[str, str]:
    """Gives the secrets that files hold, by the setting's name in lower case.

    given: all that is set, by names in lower case. Raises ConfigError when a secret is also given
    outright or by two files, and when a file is empty or cannot be read.
    """
    return {
        names[0].lower(): read_secret(*files[0])
        for names in SECRETS
        if (files := files_of(names, given))
    }


def files_of(names: tuple[str, ...], given: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Gives the setting that names the secret's file, and the file; nothing where none does."""
    every = [*names, *(name + SUFFIX for name in names)]
    found = [(name, text) for name in every if (text := given.get(name.lower()))]
    files = [(name, text) for name, text in found if name.endswith(SUFFIX)]
    if files and len(found) > 1:
        raise ConfigError(
            f"{' and '.join(name for name, _ in found)} are both set, and one of them is enough:"
            " remove the others"
        )
    return files


def read_secret(name: str, path: str) -> str:
    """Reads a secret's file; the end of its last line is not part of the secret."""
    try:
        secret = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{name} names {path}, which cannot be read: {why}") from error
    if not secret:
        raise ConfigError(f"{name} names {path}, which is empty")
    return secret
