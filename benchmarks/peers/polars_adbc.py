"""Appends a month file with Polars: `polars_adbc.py URL FILE`; prints its seconds.

Imports are not counted.
"""

from __future__ import annotations

import sys
import time

import adbc_driver_postgresql.dbapi  # noqa: F401 - imported by Polars else, inside the time
import polars as pl


def main(url, path):
    began = time.perf_counter()
    month = pl.read_csv(path, try_parse_dates=True)
    month.write_database("peer.entity_peer", url, engine="adbc", if_table_exists="append")
    print(time.perf_counter() - began)


main(*sys.argv[1:])
