"""Text for cells of a spreadsheet, which would take some of it for a formula and compute it."""

from __future__ import annotations

# As OWASP lists them under "CSV Injection"; the last four are their full-width forms.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def inert(cell: object) -> object:
    """Puts an apostrophe, which spreadsheets read as "text follows", before what they compute."""
    if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell
