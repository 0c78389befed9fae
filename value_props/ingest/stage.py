"""Show the parsed files to dbt, as the tables of its source `raw` in the database of a run.

They are views of the Parquet files, so a database holds no copy of the history; and they name the
files one by one, so it says for ever what it was built from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from value_props.database import parquet_rows
from value_props.ingest import Inventory, RawFile
from value_props.ingest.find import SOURCES
from value_props.ingest.read import COUNTS, REJECTED, ROWS, UNUSUAL, part_of, sql

# Of the parts that all sources share: the columns, and their types where no file has the part.
SHARED = {
    "rejected_lines": (
        REJECTED,
        {
            "line_number": "bigint",
            "quarantine_reason": "varchar",
            "event_date": "date",
            "value_prop": "varchar",
            "missing_fields": "varchar[]",
            "raw_text": "varchar",
        },
    ),
    "unusual_lines": (UNUSUAL, {"line_number": "bigint", "raw_text": "varchar"}),
    "row_counts": (
        COUNTS,
        {
            "event_date": "date",
            "value_prop": "varchar",
            "quarantine_reason": "varchar",
            "row_count": "bigint",
            "amount": "decimal(38, 2)",
        },
    ),
}


def stage(connection: duckdb.DuckDBPyConnection, inventory: Inventory) -> None:
    """Make the schema `raw` of a database: what the raw files of a run hold.

    Its relations are files (a table), prints, taps, pays (the valid rows), rejected_lines,
    unusual_lines and row_counts (of all sources, with source_name).
    """
    connection.execute("create schema if not exists raw")
    rows = [file.as_row() for file in inventory.files]
    connection.execute(sql("files"), {"files": json.dumps(rows)})
    by_source = {
        source: [file for file in inventory.files if file.found.source_name == source]
        for source in SOURCES
    }
    for source, files in by_source.items():
        connection.execute(f"create or replace view raw.{source} as {rows_query(source, files)}")
    for view in SHARED:
        selects = [shared_query(view, source, files) for source, files in by_source.items()]
        connection.execute(f"create or replace view raw.{view} as {' union all '.join(selects)}")


def rows_query(source: str, files: Sequence[RawFile]) -> str:
    """A query of the valid rows of files of one source, with file_number and line_number."""
    # The first row after the header stands on line 2 where the file is plain.
    first_line = 2 if source == "pays" else 1
    return _of_files(
        files,
        ROWS,
        f"{{number}} as file_number,"
        f" coalesce(line_number, file_row_number + {first_line}) as line_number,"
        " * exclude (line_number, content_number, file_row_number)",
        is_numbered=True,
    )


def shared_query(view: str, source: str, files: Sequence[RawFile]) -> str:
    """A query of one of SHARED, of files of one source; files may lack the part."""
    part, columns = SHARED[view]
    having = [file for file in files if part in file.content.parts]
    if not having:
        nothing = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in columns.items())
        return (
            f"select '{source}' as source_name, cast(null as integer) as file_number, {nothing}"
            " where false"
        )
    named = f"'{source}' as source_name, {{number}} as file_number, {', '.join(columns)}"
    return _of_files(having, part, named)


def _of_files(
    files: Sequence[RawFile], part: str, columns: str, *, is_numbered: bool = False
) -> str:
    """A query of a part of files; {number} in its columns is that of each row's raw file."""
    numbers: dict[Path, dict[int, int]] = {}
    for file in files:
        by_content = numbers.setdefault(file.stem, {})
        by_content[file.content.content_number] = file.found.file_number
    rows = parquet_rows([part_of(stem, part) for stem in numbers], is_numbered=is_numbered)
    if all(list(by_content) == [0] for by_content in numbers.values()):
        listed: list[Any] = [by_content[0] for by_content in numbers.values()]
        is_counted = listed == list(range(1, len(listed) + 1))
        place = "file_index + 1" if is_counted else f"{listed}[cast(file_index + 1 as bigint)]"
        number, chosen = f"cast({place} as integer)", ""
    else:
        # Of the contents that share a parsed file, some may be of no raw file of this run.
        listed = [
            [by_content.get(number, 0) for number in range(max(by_content) + 1)]
            for by_content in numbers.values()
        ]
        number = f"{listed}[cast(file_index + 1 as bigint)][content_number + 1]"
        chosen = f" where coalesce({number}, 0) > 0"
    return f"select {columns.format(number=number)} from {rows}{chosen}"  # nosec B608
