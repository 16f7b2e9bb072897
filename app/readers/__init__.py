"""Bytes of a stored file -> text frames and structural rejects, in bounded memory."""

from app.readers.limits import Limits
from app.readers.opening import Reader, open_reader

__all__ = ["Limits", "Reader", "open_reader"]
