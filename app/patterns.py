"""What days, instants and whole numbers look like in files; for Polars and for Python alike."""

# Polars alone would also read signs, blanks inside, years of any length and a second 60.
DAY = r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}"
EXACT_DAY = rf"^{DAY}$"
EXACT_INSTANT = rf"^{DAY} [0-9]{{2}}:[0-9]{{2}}:[0-5][0-9]$"
MIDNIGHT = r"[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?$"
BARE_HOUR = rf"^{DAY}[T ][0-9]{{2}}$"  # Arrow, which reads the plain blocks, takes it too
ODD_INSTANT = (
    rf"^(?P<day>{DAY})"
    r"(?:[T ](?P<minutes>[0-9]{2}:[0-9]{2})(?P<seconds>:[0-5][0-9])?(?P<fraction>\.[0-9]+)?"
    r"(?: ?(?:Z|UTC|(?P<sign>[+-])(?P<zone_hours>[01][0-9]|2[0-3])"
    r"(?::?(?P<zone_minutes>[0-5][0-9]))?))?)?$"
)
WHOLE_NUMBER = r"^[+-]?[0-9]+(?:\.0*)?$"
