"""The least that reading the raw files takes: DuckDB's own readers with explicit types.

No rule is applied, no bad line is kept; a malformed file fails. What the pipeline's models
cost is told as a multiple of this.
"""

from __future__ import annotations

import argparse
import glob
from pathlib import Path

import duckdb

EVENT = """{
    day: 'DATE', user_id: 'BIGINT', event_data: 'STRUCT("position" INTEGER, value_prop VARCHAR)'
}"""
PAYMENT = "{pay_date: 'DATE', total: 'DECIMAL(18, 2)', user_id: 'BIGINT', value_prop: 'VARCHAR'}"


def scan(raw_path: Path, database: Path) -> None:
    """Read the three raw files, named as `value-props sample` names them, into tables."""
    with duckdb.connect(str(database)) as connection:
        for name in ("prints", "taps"):
            connection.execute(
                f"create table {name} as"
                f" select * from read_ndjson(?, columns = {EVENT}, hive_partitioning = false)",
                [_only(raw_path / f"{name}.json")],
            )
        connection.execute(
            "create table pays as select * from"
            f" read_csv(?, header = true, columns = {PAYMENT}, hive_partitioning = false)",
            [_only(raw_path / "pays.csv")],
        )


def _only(path: Path) -> str:
    """A pattern that matches this file alone."""
    return glob.escape(str(path))


def main() -> None:
    """Scan, and print nothing."""
    parser = argparse.ArgumentParser(description=scan.__doc__)
    parser.add_argument("--raw", type=Path, required=True, help="folder with the raw files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the database")
    arguments = parser.parse_args()
    scan(arguments.raw, arguments.out / "bare_scan.duckdb")


if __name__ == "__main__":
    main()
