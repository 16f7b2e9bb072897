"""The original text of a row, fit to be shown and to be stored in PostgreSQL."""

from __future__ import annotations

MAX_CHARACTERS = 10_000
SHORTENED = "… (shortened)"
MAX_BYTES_PER_CHARACTER = 4


def show_bytes(original: bytes, codec: str) -> str:
    """The text without its line end; bytes that do not decode are shown as \\xNN."""
    line = original.removesuffix(b"\n").removesuffix(b"\r")
    kept = line[: MAX_BYTES_PER_CHARACTER * (MAX_CHARACTERS + 1)]
    return show_text(kept.decode(codec, "backslashreplace"))


def show_text(text: str) -> str:
    """NUL is shown as \\x00, and a long text is shortened to MAX_CHARACTERS."""
    shown = text[: MAX_CHARACTERS + 1].replace("\0", "\\x00")
    if len(shown) <= MAX_CHARACTERS:
        return shown
    return shown[: MAX_CHARACTERS - len(SHORTENED)] + SHORTENED
