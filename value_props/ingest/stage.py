"""Show the parsed files to dbt as the tables of its source `raw` in the database of a run.

The tables are views of the Parquet files, so the database holds no copy of the history. The views
name each file, so the database always shows what it was built from.
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

# Views over all sources: the part that each shows, and its columns. The types are used if no file
# of a source has the part.
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
    """Create the schema `raw` in a database: the content of the raw files of a run.

    The table `files` has a row for each raw file. The views prints, taps and pays have the valid
    rows. The views rejected_lines, unusual_lines and row_counts cover all sources and have the
    column source_name.
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
    """Return a query for the valid rows of one source, with file_number and line_number."""
    # In a plain pays file the header is line 1, so the first row is line 2.
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
    """Return a query for one source's rows of a view in SHARED. Files may lack the part."""
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
    """Return a query for a part of files. {number} in `columns` becomes each row's file_number."""
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
        # A shared parsed file may hold contents that no raw file of this run has. Skip their rows.
        listed = [
            [by_content.get(number, 0) for number in range(max(by_content) + 1)]
            for by_content in numbers.values()
        ]
        number = f"{listed}[cast(file_index + 1 as bigint)][content_number + 1]"
        chosen = f" where coalesce({number}, 0) > 0"
    return f"select {columns.format(number=number)} from {rows}{chosen}"  # nosec B608
