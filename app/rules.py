"""The base of every feed's contract: what a row has to keep."""

from __future__ import annotations

import dataframely as dy
import polars as pl


class Contract(dy.Schema):
    """The rules of a feed's rows; every feed's contract starts from this one.

    Columns other than String are parsed from the file's text before the rules are applied.
    A rule's name, read as words, is the reason people are given.
    """

    line_number = dy.Int64(nullable=False)

    @classmethod
    def rules(cls) -> list[pl.Expr]:
        """Whether a row keeps each rule; as in `filter`, null does not break one."""
        rules = cls._validation_rules(with_cast=False)
        return [rule.expr.alias(name) for name, rule in rules.items()]
