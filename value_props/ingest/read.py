"""Read a raw file with DuckDB into the parts that are kept of it.

The length proof
----------------
A file in which every line is as an app writes it needs no look at its lines. It is read by the
typed reader of its format with every field as text, and a row is kept only where each text is
what its value spells out (plain_events.sql, plain_payments.sql; any other row stops the query).
Then the rows are written out in thought, with keys, punctuation and line ends, and the bytes are
added up. If the sum is the size of the content, nothing else is in the file: no lost line, no
blank, no other key, no second spelling of a value.

It needs one thing of the reader: no text that it accepts may be shorter than what its values
spell out, or a short line could make room for a hidden one. The ways to be shorter, and why none
is open: a number with an exponent or a short date (it does not read back as its text), a number or
literal where a text belongs (is_plain_text), a field without its quotes in CSV (a quote anywhere
fails), a key that is missing (a null does not read back), a file without its last line end (asked
of the bytes). Escapes, repeated keys, blanks, other line ends and a BOM only make a line longer.
That the keys are in the order of the app, so that a row spells out its text, is counted in the
bytes (fingerprint.py). What fails the proof is read line by line, by every rule.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from value_props.database import literal, opened, parquet_rows
from value_props.ingest.find import FoundFile
from value_props.ingest.fingerprint import Fingerprint, content_of
from value_props.ingest.lines import PAYS_COLUMNS, Lines

PARTS = ROWS, REJECTED, UNUSUAL, COUNTS = "rows", "rejected", "unusual", "counts"
# A dictionary pays for value props and days alone, and is dear to try for users and amounts.
_PARQUET = (
    "format parquet, parquet_version v2, compression zstd, compression_level 1,"
    " dictionary_size_limit 1000"
)
PLAIN_HEADER = (",".join(PAYS_COLUMNS) + "\n").encode()
# How many values are sorted at a time, so that memory stays bounded.
_SORTED_AT_A_TIME = 1 << 23
_KINDS = {"prints": "events", "taps": "events", "pays": "payments"}


@dataclass
class ReadFile:
    """What was read of a raw file.

    Args:
        parts: path of each part that was written, by name; a part without rows is not.
        line_count: physical lines.
        row_count: lines that are neither blank nor a CSV header.
        header_line_number: physical, 1-based; None without a header.
        columns: of the CSV header, in its order; empty for JSON.
        unknown_fields: rows by key, or column, that no rule knows.
        distinct_users: of the valid rows.
        plain_bytes: how many an app writes for the valid rows.
        is_plain: whether it was read as a file in which every line is as an app writes it.
    """

    parts: dict[str, Path]
    line_count: int
    row_count: int
    header_line_number: int | None = None
    columns: list[str] = field(default_factory=list)
    unknown_fields: dict[str, int] = field(default_factory=dict)
    distinct_users: int = 0
    plain_bytes: int = 0
    is_plain: bool = False


@contextmanager
def reader() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that knows the rules; each file is read on a cursor of its own."""
    with opened(None) as connection:
        connection.execute(sql("rules"))
        yield connection


@cache
def sql(name: str) -> str:
    """The text of a query of this room."""
    return resources.files("value_props.ingest").joinpath("sql", f"{name}.sql").read_text("utf-8")


def read_plain(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, draft: Path
) -> ReadFile | None:
    """Read a file in which every line is as an app writes it; None where one is not.

    Args:
        connection: of reader(), a cursor of its own.
        file: the raw file.
        draft: path of the files to write, without their endings.

    Returns:
        What was read. It is right only if `is_proved` says so.
    """
    if not _begins_plain(file):
        return None
    rows = part_of(draft, ROWS)
    try:
        query = sql(f"plain_{_KINDS[file.source_name]}")
        _copy(connection, query, rows, _reading(file.path))
    except duckdb.Error:
        # Whatever the reader does not like is for the rules to judge.
        return None
    connection.execute(f"create or replace temp view valid_rows as from {parquet_rows([rows])}")
    connection.execute(
        "create or replace temp table rejected_lines"
        " (event_date date, value_prop varchar, quarantine_reason varchar)"
    )
    found = ReadFile({ROWS: rows}, 0, 0, is_plain=True)
    has_repeats = _count(connection, file, draft, found)
    if has_repeats:
        return None
    found.line_count = found.row_count
    if file.source_name == "pays":
        found.line_count, found.header_line_number = found.row_count + 1, 1
        found.columns = list(PAYS_COLUMNS)
    return found


def is_proved(file: FoundFile, found: ReadFile, bytes_of: Fingerprint) -> bool:
    """The length proof; see the top of this module."""
    in_order = file.source_name == "pays" or bytes_of.events_in_order == found.row_count
    ends = not bytes_of.ends_with_newline and bytes_of.content_bytes > 0
    header = len(PLAIN_HEADER) if file.source_name == "pays" else 0
    return (
        in_order
        and not bytes_of.is_odd
        and not (file.source_name == "pays" and bytes_of.has_quote)
        and found.plain_bytes + header == bytes_of.content_bytes + ends
    )


def read_lines(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, lines: Lines, draft: Path
) -> ReadFile:
    """Read a file line by line, by every rule of the data.

    Args:
        connection: of reader(), a cursor of its own.
        file: the raw file.
        lines: as they were counted without the engine.
        draft: path of the files to write, without their endings.
    """
    values = _reading(lines.read_path) | {
        "hard_lines": json.dumps([asdict(line) for line in lines.hard_lines])
    }
    if file.source_name == "pays":
        values["columns"] = json.dumps(lines.columns)
    kind = _KINDS[file.source_name]
    connection.execute(f"create or replace temp table judged as {sql(f'lines_of_{kind}')}", values)
    header = {"number": lines.header_line_number}
    connection.execute("set variable header_line_number = $number", header)
    connection.execute(sql("numbered"))
    valid = "select * from numbered where quarantine_reason is null"
    has_repeats = (
        kind == "events" and _sorted_has_repeats(connection, f"({valid})", lines.row_count)[0]
    )
    connection.execute(
        "create or replace temp table repeats as"  # nosec B608
        f" select * from ({sql('repeats') if has_repeats else _NO_REPEATS})"
    )
    found = ReadFile(
        {ROWS: part_of(draft, ROWS)},
        lines.line_count,
        lines.row_count,
        lines.header_line_number,
        lines.columns,
    )
    connection.execute(f"create or replace temp view valid_rows as {sql('valid')}")
    connection.execute(f"create or replace temp table rejected_lines as {sql('rejected')}")
    connection.execute(f"create or replace temp view unusual_lines as {sql('unusual')}")
    _copy(connection, "from valid_rows", found.parts[ROWS])
    for part, table in ((REJECTED, "rejected_lines"), (UNUSUAL, "unusual_lines")):
        [(has_rows,)] = connection.execute(f"select exists (from {table})").fetchall()  # nosec B608
        if has_rows:
            found.parts[part] = part_of(draft, part)
            _copy(connection, f"from {table}", found.parts[part])
    _count(connection, file, draft, found)
    if kind == "events":
        found.unknown_fields = dict(connection.execute(sql("unknown_fields")).fetchall())
    else:
        found.unknown_fields = {
            name: lines.row_count for name in lines.columns if name not in PAYS_COLUMNS
        }
    connection.execute("drop table judged cascade")
    return found


_NO_REPEATS = """
    select line_number, event_date, value_prop, raw_text from numbered where false
"""


def part_of(draft: Path, part: str) -> Path:
    """The path of a part of a file that is kept, or of its draft."""
    ending = "" if part == ROWS else f".{part}"
    return draft.with_name(f"{draft.name}{ending}.parquet")


def _begins_plain(file: FoundFile) -> bool:
    """Whether the first line is as an app writes it; saves reading a file that is not plain."""
    start = next(iter(content_of(file)), b"")[:4096]
    if file.source_name == "pays":
        return start.startswith(PLAIN_HEADER)
    is_event = start.startswith(b'{"day":"') and b'","event_data":{"position":' in start
    return not start or (is_event and b"\r" not in start)


def _reading(path: Path) -> dict[str, Any]:
    return {
        "read_path": glob.escape(str(path.absolute())),
        "compression": "gzip" if path.suffix == ".gz" else "none",
    }


def _copy(
    connection: duckdb.DuckDBPyConnection, query: str, path: Path, values: Any = None
) -> None:
    connection.execute(f"copy ({query}) to {literal(path)} ({_PARQUET})", values)


def _count(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, draft: Path, found: ReadFile
) -> bool:
    """Count the valid_rows and rejected_lines; whether valid events repeat."""
    kind = _KINDS[file.source_name]
    found.parts[COUNTS] = part_of(draft, COUNTS)
    _copy(connection, sql(f"counts_of_{kind}"), found.parts[COUNTS])
    [(rows, found.plain_bytes)] = connection.execute(
        "select"  # nosec B608
        " cast(coalesce(sum(case when quarantine_reason is null then row_count end), 0) as bigint),"
        " cast(coalesce(sum(plain_bytes), 0) as bigint)"
        f" from {parquet_rows([found.parts[COUNTS]])}"
    ).fetchall()
    if found.is_plain:
        found.row_count = rows
    has_repeats, found.distinct_users = _sorted_has_repeats(
        connection, "valid_rows", rows, is_event=kind == "events"
    )
    return has_repeats


def _sorted_has_repeats(
    connection: duckdb.DuckDBPyConnection, rows: str, count: int, *, is_event: bool = True
) -> tuple[bool, int]:
    """Whether two events may be equal, since their hashes are; and how many users there are.

    numpy sorts whole numbers several times faster than a hash table groups them.
    """
    parts = -(-count // _SORTED_AT_A_TIME) or 1
    event = "hash(event_date, user_id, value_prop, position)" if is_event else "0::ubigint"
    has_repeats, users = False, 0
    for part in range(parts):
        chosen = f"where hash(user_id) % {parts} = {part}" if parts > 1 else ""
        found = connection.execute(
            f"select user_id, {event} as event_hash from {rows} {chosen}"  # nosec B608
        ).fetchnumpy()
        users += _count_distinct(found["user_id"])
        if is_event:
            hashes = found["event_hash"]
            has_repeats = has_repeats or _count_distinct(hashes) < len(hashes)
    return has_repeats, users


def _count_distinct(values: Any) -> int:
    """How many values an array has; it is sorted in its place."""
    values.sort()
    return int(np.count_nonzero(values[1:] != values[:-1])) + 1 if len(values) else 0
