"""Every error Sluice raises on purpose, grouped by what has to happen next.

`ConfigError`: refuse to start. `FileError`: quarantine the file, go on. `RetryableError`:
wait and try again, the file stays. Anything else is a bug: the load fails, the service goes on.
"""

from __future__ import annotations


class SluiceError(Exception):
    """The root: catch this to catch all that Sluice raises on purpose."""


class ConfigError(SluiceError):
    """A setting or a command line that cannot work; nothing was started."""


class FileError(SluiceError):
    """A whole file that cannot be loaded; it goes to the quarantine.

    found: what the file holds. expected: what would have been accepted.
    remedy: what a person does next. line_number: physical line, from 1, where known.
    """

    def __init__(
        self, *, found: str, expected: str, remedy: str, line_number: int | None = None
    ) -> None:
        self.found = found
        self.expected = expected
        self.remedy = remedy
        self.line_number = line_number
        where = f" (line {line_number})" if line_number is not None else ""
        super().__init__(f"Found {found}{where}; expected {expected}. To do: {remedy}.")


class RetryableError(SluiceError):
    """Trouble that passes by itself: wait, then do the same again."""


class DatabaseUnreachableError(RetryableError):
    """The database does not answer, or refuses connections for now."""


class BrokerUnreachableError(RetryableError):
    """No Kafka broker answers, or none has the topic."""


class FileChangedError(RetryableError):
    """The file was written, replaced or removed while it was read; look at it again."""
