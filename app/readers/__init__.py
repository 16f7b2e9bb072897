"""Bytes of a stored file -> text frames and structural rejects, in bounded memory."""

from app.readers.opening import Reader, open_reader

__all__ = ["Reader", "open_reader"]
