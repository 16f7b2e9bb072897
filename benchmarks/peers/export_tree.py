"""Writes the statistics of entity as a tree of CSV files, as one would with pandas.

Arguments: the database's address, the folder. Runs in the benchmarks' own environment.
"""

import sys
from pathlib import Path

import pandas as pd
from sqlalchemy import create_engine

FILES = {
    "entity_stats_daily": "year={}/month={}/day={}/entity_stats_daily_{}_{}_{}.csv",
    "entity_stats_monthly": "year={}/month={}/entity_stats_monthly_{}_{}.csv",
    "entity_stats_yearly": "year={}/entity_stats_yearly_{}.csv",
}
KEYS = ["year", "month", "day"]


def main(url: str, folder: str) -> None:
    """Reads each view whole, and writes a file for each day, month and year of it."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    for view, template in FILES.items():
        frame = pd.read_sql(f"SELECT * FROM warehouse.{view}", engine)
        keys = [key for key in KEYS if key in frame.columns]
        for values, rows in frame.groupby(keys):
            path = Path(folder) / template.format(*values, *values)
            path.parent.mkdir(parents=True, exist_ok=True)
            rows.to_csv(path, index=False)


main(*sys.argv[1:])
