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
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from value_props import database
from value_props.database import literal, opened, parquet_rows
from value_props.ingest.find import FoundFile
from value_props.ingest.fingerprint import Fingerprint, content_of
from value_props.ingest.lines import PAYS_COLUMNS, ContentFacts, Lines

# The queries of this room, by name.
sql = partial(database.sql, "ingest")
PARTS = ROWS, REJECTED, UNUSUAL, COUNTS = "rows", "rejected", "unusual", "counts"
# A dictionary pays for value props and days alone, and is dear to try for users and amounts.
_PARQUET = "format parquet, parquet_version v2, compression lz4_raw, dictionary_size_limit 1000"
PLAIN_HEADER = (",".join(PAYS_COLUMNS) + "\n").encode()
# How many hashes are sorted at a time, so that memory stays bounded.
_SORTED_AT_A_TIME = 1 << 24
EVENT_HASH = "hash(event_date, user_id, value_prop, position)"


@dataclass
class Draft:
    """A parsed file while it is written.

    Args:
        path: of its parts, without their endings.
        parts: those that were written; one that has no rows is not.
    """

    path: Path
    parts: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """Of the parts that were written."""
        return [part_of(self.path, part) for part in self.parts]

    def write(
        self, connection: duckdb.DuckDBPyConnection, part: str, query: str, values: Any = None
    ) -> None:
        """Write a part: the rows of a query."""
        target = literal(part_of(self.path, part))
        connection.execute(f"copy ({query}) to {target} ({_PARQUET})", values)
        self.parts.append(part)


@dataclass
class ReadFile:
    """What was read of a raw file.

    Args:
        draft: where its rows are.
        content: what was found.
        plain_bytes: how many an app writes for the valid rows.
    """

    draft: Draft
    content: ContentFacts
    plain_bytes: int


@contextmanager
def reader() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that knows the rules; each file is read on a cursor of its own."""
    with opened(None) as connection:
        connection.execute(sql("rules"))
        yield connection


def read_plain(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, path: Path
) -> ReadFile | None:
    """Read a file in which every line is as an app writes it; None where one is not.

    Args:
        connection: of reader(), a cursor of its own.
        file: the raw file.
        path: of the files to write, without their endings.

    Returns:
        What was read. It is right only if `is_proved` says so.
    """
    if not _begins_plain(file):
        return None
    draft = Draft(path)
    try:
        _write_rows(connection, draft, sql(f"plain_{kind_of(file)}"), reading(file.path))
    except duckdb.Error:
        # Whatever the reader does not like is for the rules to judge.
        return None
    row_count, plain_bytes = write_counts_of_plain(connection, file, draft)
    if is_event(file) and has_repeats(connection, "valid_rows", row_count):
        return None
    content = plain_content(file, row_count)
    content.distinct_users = _count_users(connection)
    return ReadFile(draft, content, plain_bytes)


def is_proved(file: FoundFile, found: ReadFile, bytes_of: Fingerprint) -> bool:
    """The length proof; see the top of this module."""
    ends = not bytes_of.ends_with_newline and bytes_of.content_bytes > 0
    header = 0 if is_event(file) else len(PLAIN_HEADER)
    return (
        may_be_plain(file, bytes_of, found.content.row_count)
        and found.plain_bytes + header == bytes_of.content_bytes + ends
    )


def may_be_plain(file: FoundFile, bytes_of: Fingerprint, row_count: int) -> bool:
    """What the length proof asks of the bytes."""
    if is_event(file):
        return not bytes_of.is_odd and bytes_of.events_in_order == row_count
    return not bytes_of.is_odd and not bytes_of.has_quote


def plain_content(file: FoundFile, row_count: int) -> ContentFacts:
    """What is found in a file that is proved, but for its users."""
    if is_event(file):
        return ContentFacts(line_count=row_count, row_count=row_count, is_plain=True)
    return ContentFacts(
        line_count=row_count + 1,
        row_count=row_count,
        header_line_number=1,
        columns=list(PAYS_COLUMNS),
        is_plain=True,
    )


def read_lines(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, lines: Lines, path: Path, scratch: Path
) -> ReadFile:
    """Read a file line by line, by every rule of the data.

    Args:
        connection: of reader(), a cursor of its own.
        file: the raw file.
        lines: as they were counted without the engine.
        path: of the files to write, without their endings.
        scratch: a folder for what is needed meanwhile.
    """
    _judge(connection, file, lines, scratch)
    valid = "(select * from numbered where quarantine_reason is null)"
    may_repeat = is_event(file) and has_repeats(connection, valid, lines.content.row_count)
    connection.execute(
        "create or replace temp table repeats as"  # nosec B608
        f" select * from ({sql('repeats') if may_repeat else _NO_REPEATS})"
    )
    connection.execute(f"create or replace temp table rejected_lines as {sql('rejected')}")
    connection.execute(f"create or replace temp view unusual_lines as {sql('unusual')}")
    draft = Draft(path)
    _write_rows(connection, draft, sql("valid"))
    for part, table in ((REJECTED, "rejected_lines"), (UNUSUAL, "unusual_lines")):
        [(has_rows,)] = connection.execute(f"select exists (from {table})").fetchall()  # nosec B608
        if has_rows:
            draft.write(connection, part, f"from {table}")
    plain_bytes = _write_counts(connection, file, draft)[1]
    content = lines.content
    content.distinct_users = _count_users(connection)
    if is_event(file):
        content.unknown_fields = dict(connection.execute(sql("unknown_fields")).fetchall())
    else:
        content.unknown_fields = {
            name: content.row_count for name in content.columns if name not in PAYS_COLUMNS
        }
    return ReadFile(draft, content, plain_bytes)


def _judge(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, lines: Lines, scratch: Path
) -> None:
    """Make the view `numbered`: each row of a file, judged."""
    columns = {} if is_event(file) else {"columns": json.dumps(lines.content.columns)}
    hard_lines = json.dumps([asdict(line) for line in lines.hard_lines])
    connection.execute(sql("hard_lines"), {"hard_lines": hard_lines})
    _put_aside(
        *(connection, scratch, "lines", sql(f"lines_of_{kind_of(file)}")),
        reading(lines.read_path) | columns,
    )
    header = {"number": lines.content.header_line_number}
    connection.execute("set variable header_line_number = $number", header)
    connection.execute(sql("odd_lines"))
    _put_aside(connection, scratch, "judged", sql(f"judged_{kind_of(file)}"), columns)
    connection.execute(sql("numbered"))


def _put_aside(
    connection: duckdb.DuckDBPyConnection, scratch: Path, name: str, query: str, values: Any
) -> None:
    """Keep the rows of a query in a file, which a view reads with their places (from 0).

    The lines of a large file have no room in memory, and this costs less than what DuckDB would
    move out of it.
    """
    target = scratch / f"{name}.parquet"
    connection.execute(f"copy ({query}) to {literal(target)} ({_PARQUET})", values)
    rows = parquet_rows([target], is_numbered=True)
    connection.execute(f"create or replace temp view {name} as from {rows}")


_NO_REPEATS = """
    select line_number, event_date, value_prop, raw_text from numbered where false
"""


def part_of(draft: Path, part: str) -> Path:
    """The path of a part of a file that is kept, or of its draft."""
    ending = "" if part == ROWS else f".{part}"
    return draft.with_name(f"{draft.name}{ending}.parquet")


def is_event(file: FoundFile) -> bool:
    """Whether its rows are prints or taps, and not payments."""
    return file.source_name != "pays"


def kind_of(file: FoundFile) -> str:
    """How the queries of its rows are named."""
    return "events" if is_event(file) else "payments"


def _begins_plain(file: FoundFile) -> bool:
    """Whether the first line is as an app writes it; saves reading a file that is not plain."""
    start = next(iter(content_of(file)), b"")[:4096]
    if not is_event(file):
        return start.startswith(PLAIN_HEADER)
    begins = start.startswith(b'{"day":"') and b'","event_data":{"position":' in start
    return not start or (begins and b"\r" not in start)


def reading(path: Path) -> dict[str, Any]:
    """The parameters by which a query reads a file."""
    return {
        "read_path": glob.escape(str(path.absolute())),
        "compression": "gzip" if path.suffix == ".gz" else "none",
    }


def _write_rows(
    connection: duckdb.DuckDBPyConnection, draft: Draft, query: str, values: Any = None
) -> None:
    """Write the valid rows of a draft, and make them the view `valid_rows`."""
    draft.write(connection, ROWS, query, values)
    rows = parquet_rows([part_of(draft.path, ROWS)])
    connection.execute(f"create or replace temp view valid_rows as from {rows}")


def write_counts_of_plain(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, draft: Draft
) -> tuple[int, int]:
    """Write the counts of valid_rows; how many rows, and how many bytes an app writes for them."""
    connection.execute(
        "create or replace temp table rejected_lines"
        " (event_date date, value_prop varchar, quarantine_reason varchar)"
    )
    return _write_counts(connection, file, draft)


def _write_counts(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, draft: Draft
) -> tuple[int, int]:
    """The same of valid_rows and rejected_lines; the rows that are valid."""
    draft.write(connection, COUNTS, sql(f"counts_of_{kind_of(file)}"))
    [(row_count, plain_bytes)] = connection.execute(
        "select"  # nosec B608
        " cast(coalesce(sum(case when quarantine_reason is null then row_count end), 0) as bigint),"
        " cast(coalesce(sum(plain_bytes), 0) as bigint)"
        f" from {parquet_rows([part_of(draft.path, COUNTS)])}"
    ).fetchall()
    return row_count, plain_bytes


def has_repeats(connection: duckdb.DuckDBPyConnection, events: str, count: int) -> bool:
    """Whether two events may be equal, since their hashes are.

    numpy sorts whole numbers faster than a hash table groups as many that differ.
    """
    parts = -(-count // _SORTED_AT_A_TIME) or 1
    for part in range(parts):
        hashes = connection.execute(
            "select event_hash from"  # nosec B608
            f" (select {EVENT_HASH} as event_hash from {events})"
            f" where event_hash % {parts} = {part}"
        ).fetchnumpy()["event_hash"]
        if count_distinct(hashes) < len(hashes):
            return True
    return False


def _count_users(connection: duckdb.DuckDBPyConnection) -> int:
    """How many users valid_rows has."""
    [(users,)] = connection.execute("select count(distinct user_id) from valid_rows").fetchall()
    return int(users)


def count_distinct(values: Any) -> int:
    """How many values an array has; it is sorted in its place."""
    # A run that has nothing new to read does without it.
    import numpy as np

    values.sort()
    return int(np.count_nonzero(values[1:] != values[:-1])) + 1 if len(values) else 0
