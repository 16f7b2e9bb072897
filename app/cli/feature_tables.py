"""How versions of features, and what lies between two of them, look at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.features.comparison import Comparison
from app.features.versions import Activation, Version
from app.tables import instant, plain_table

HASH_SHOWN = 12


def versions_table(versions: Sequence[Version]) -> Group:
    """Shows every version, the active one in green."""
    table = plain_table()
    table.add_column("version", justify="right")
    for name in ("", "features", "activated (UTC)"):
        table.add_column(name)
    table.add_column("rows", justify="right")
    table.add_column("definition")
    for each in versions:
        table.add_row(
            str(each.version),
            Text("active", style="green") if each.is_active else "",
            ", ".join(each.features),
            instant(each.activated_at),
            str(each.rows_with_values),
            each.definition_hash[:HASH_SHOWN],
        )
    return Group(Text("Versions of the risk-score features", style="italic"), table)


def version_text(version: Version, activations: Sequence[Activation]) -> Text:
    """Writes all there is to know of a version, and its definition below."""
    state = ", the active one" if version.is_active else ""
    lines = [
        f"Version {version.version}{state}: {', '.join(version.features)}",
        f"values: {version.rows_with_values} rows, in warehouse.risk_score_v{version.version}",
        f"registered: {instant(version.created_at)} UTC",
        f"activated: {'; '.join(map(activation_text, activations)) or 'never'}",
        f"SHA-256: {version.definition_hash}",
        "",
        version.definition.rstrip("\n"),
    ]
    return Text("\n".join(lines))


def activation_text(activation: Activation) -> str:
    began = f"{instant(activation.activated_at)} UTC"
    if activation.withdrawn_at is None:
        return began
    return f"{began}, rolled back {instant(activation.withdrawn_at)} UTC"


def missing_sentence(version: int, rows: int) -> str:
    """Says what to do about rows that have no values of a version; nothing where all have them."""
    if not rows:
        return ""
    return f" {rows} rows have no values of it: `features backfill {version}` computes them."


def comparison_tables(found: Comparison) -> Group:
    """Shows the rows of both versions, each feature's differences, and the first values."""
    parts: list[RenderableType] = [
        Text(f"Versions {found.first} and {found.second}", style="italic"),
        rows_table(found),
    ]
    if found.features:
        parts += ["", differences_table(found)]
    parts += [f"Only one version has {feature}." for feature in found.only_one_has]
    if found.first_values:
        parts += ["", Text("First values that differ", style="italic"), first_values_table(found)]
    return Group(*parts)


def rows_table(found: Comparison) -> Table:
    """Counts the rows of each version, of both, and of one alone."""
    table = plain_table()
    table.add_column("rows")
    table.add_column("", justify="right")
    counts = {
        f"version {found.first}": found.rows_first,
        f"version {found.second}": found.rows_second,
        "both": found.rows_both,
        f"only {found.first}": found.rows_first - found.rows_both,
        f"only {found.second}": found.rows_second - found.rows_both,
    }
    for name, rows in counts.items():
        table.add_row(name, str(rows))
    return table


def differences_table(found: Comparison) -> Table:
    """Shows how far the values of each feature lie apart."""
    table = plain_table()
    table.add_column("feature")
    for name in ("rows that differ", "largest difference", "mean difference"):
        table.add_column(name, justify="right")
    for each in found.features:
        table.add_row(
            each.feature, str(each.rows_differing), number(each.largest), number(each.mean)
        )
    return table


def first_values_table(found: Comparison) -> Table:
    """Shows the first values that differ, with their applications."""
    table = plain_table()
    table.add_column("application_id", justify="right")
    table.add_column("date")
    table.add_column("feature")
    for name in (f"version {found.first}", f"version {found.second}"):
        table.add_column(name, justify="right")
    for each in found.first_values:
        table.add_row(
            str(each.application_id),
            str(each.application_date),
            each.feature,
            number(each.first_value),
            number(each.second_value),
        )
    return table


def number(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:f}"
