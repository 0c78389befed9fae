"""Read a raw file with DuckDB, and write the parts of its parsed file.

The length proof
----------------
A file is plain if its bytes are those that the app would write for its values; only the last line
end may be missing. The length proof finds that out without looking at single lines, which is
faster. DuckDB's reader for the format reads every field as text, and the query casts it. The
query stops at a value that breaks a rule, and at a value that, written as text again, differs
from its field (plain_events.sql, plain_payments.sql). Then we compute how many bytes the
app would write for all rows, with keys, punctuation and line ends. If the sum equals the size of
the content, the file holds nothing else: no lost line, blank, unknown key or other spelling.

The proof has one condition: DuckDB must accept no line that is shorter than the line that the app
writes for its values. Otherwise a short line would make room for a hidden one. A line can be
shorter in these ways, and none of them makes room:
- a number with an exponent, or a short date: it differs from its value written as text;
- a number or a literal in place of a text: is_plain_text refuses it;
- a CSV field without its quotes: a file with a quote fails the proof;
- a missing key: its value is null, which the query refuses;
- a missing last line end: the fingerprint shows it, and is_proved adds the byte.
Escapes, repeated keys, blanks, other line ends and a BOM only make a line longer. The fingerprint
counts the events whose keys are in the order of the app, so that the text of a line follows from
its values. A file that fails the proof is read line by line, and every rule is applied to it.
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

# Loads a query of this folder by name.
sql = partial(database.sql, "ingest")
PARTS = ROWS, REJECTED, UNUSUAL, COUNTS = "rows", "rejected", "unusual", "counts"
# A dictionary saves space only for value props and days. The size limit keeps DuckDB from trying
# one for users and amounts, which is slow.
_PARQUET = "format parquet, parquet_version v2, compression lz4_raw, dictionary_size_limit 1000"
PLAIN_HEADER = (",".join(PAYS_COLUMNS) + "\n").encode()
# Number of hashes to sort at a time. It limits the memory.
_SORTED_AT_A_TIME = 1 << 24
EVENT_HASH = "hash(event_date, user_id, value_prop, position)"


@dataclass
class Draft:
    """A parsed file that is still being written.

    Args:
        path: path of its parts, without the endings.
        parts: names of the parts that were written. Optional parts without rows are not.
    """

    path: Path
    parts: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """Paths of the parts that were written."""
        return [part_of(self.path, part) for part in self.parts]

    def write(
        self, connection: duckdb.DuckDBPyConnection, part: str, query: str, values: Any = None
    ) -> None:
        """Write the rows of a query as a part."""
        target = literal(part_of(self.path, part))
        connection.execute(f"copy ({query}) to {target} ({_PARQUET})", values)
        self.parts.append(part)


@dataclass
class ReadFile:
    """The result of reading a raw file.

    Args:
        draft: the parts that were written.
        content: facts about the content.
        plain_bytes: number of bytes that the app writes for the valid rows.
    """

    draft: Draft
    content: ContentFacts
    plain_bytes: int


@contextmanager
def reader() -> Iterator[duckdb.DuckDBPyConnection]:
    """Context manager for an in-memory database that has the macros of rules.sql.

    Threads read files at the same time, each on a cursor of its own.
    """
    with opened(None) as connection:
        connection.execute(sql("rules"))
        yield connection


def read_plain(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, path: Path
) -> ReadFile | None:
    """Read a file that may be plain: every line is as the app writes it.

    Args:
        connection: a cursor of reader().
        file: the raw file.
        path: path of the parts to write, without the endings.

    Returns:
        The rows, which are valid only if `is_proved` returns True. None if a line is not plain,
        or if two events may be equal.
    """
    if not _begins_plain(file):
        return None
    draft = Draft(path)
    try:
        _write_rows(connection, draft, sql(f"plain_{kind_of(file)}"), reading(file.path))
    except duckdb.Error:
        # DuckDB refused a line, so the file is read line by line and the rules judge each line.
        return None
    row_count, plain_bytes = write_counts_of_plain(connection, file, draft)
    if is_event(file) and has_repeats(connection, "valid_rows", row_count):
        return None
    content = plain_content(file, row_count)
    content.distinct_users = _count_users(connection)
    return ReadFile(draft, content, plain_bytes)


def is_proved(file: FoundFile, found: ReadFile, bytes_of: Fingerprint) -> bool:
    """Return whether the length proof holds; see the top of this module."""
    ends = not bytes_of.ends_with_newline and bytes_of.content_bytes > 0
    header = 0 if is_event(file) else len(PLAIN_HEADER)
    return (
        may_be_plain(file, bytes_of, found.content.row_count)
        and found.plain_bytes + header == bytes_of.content_bytes + ends
    )


def may_be_plain(file: FoundFile, bytes_of: Fingerprint, row_count: int) -> bool:
    """Return whether the fingerprint meets the conditions of the length proof."""
    if is_event(file):
        return not bytes_of.is_odd and bytes_of.events_in_order == row_count
    return not bytes_of.is_odd and not bytes_of.has_quote


def plain_content(file: FoundFile, row_count: int) -> ContentFacts:
    """Return the facts about a plain file, except the number of users."""
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
    """Read a file line by line, and apply every rule of the data.

    Args:
        connection: a cursor of reader().
        file: the raw file.
        lines: result of `count_lines`.
        path: path of the parts to write, without the endings.
        scratch: folder for temporary files.
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
    """Create the view `numbered`: each row of a file with its quarantine reason, if any."""
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
    """Write the rows of a query to a file, and create a view of it with row numbers from 0.

    The lines of a large file do not fit in memory. This is faster than letting DuckDB spill them
    to disk.
    """
    target = scratch / f"{name}.parquet"
    connection.execute(f"copy ({query}) to {literal(target)} ({_PARQUET})", values)
    rows = parquet_rows([target], is_numbered=True)
    connection.execute(f"create or replace temp view {name} as from {rows}")


_NO_REPEATS = """
    select line_number, event_date, value_prop, raw_text from numbered where false
"""


def part_of(draft: Path, part: str) -> Path:
    """Return the path of a part of a parsed file or of a draft."""
    ending = "" if part == ROWS else f".{part}"
    return draft.with_name(f"{draft.name}{ending}.parquet")


def is_event(file: FoundFile) -> bool:
    """Return whether the rows of a raw file are prints or taps, not payments."""
    return file.source_name != "pays"


def kind_of(file: FoundFile) -> str:
    """Return the word for its kind of rows in the names of the queries."""
    return "events" if is_event(file) else "payments"


def _begins_plain(file: FoundFile) -> bool:
    """Return whether the first line looks plain. If not, the typed read would be wasted."""
    start = next(iter(content_of(file)), b"")[:4096]
    if not is_event(file):
        return start.startswith(PLAIN_HEADER)
    begins = start.startswith(b'{"day":"') and b'","event_data":{"position":' in start
    return not start or (begins and b"\r" not in start)


def reading(path: Path) -> dict[str, Any]:
    """Return the parameters with which a query reads a file."""
    return {
        "read_path": glob.escape(str(path.absolute())),
        "compression": "gzip" if path.suffix == ".gz" else "none",
    }


def _write_rows(
    connection: duckdb.DuckDBPyConnection, draft: Draft, query: str, values: Any = None
) -> None:
    """Write the valid rows of a draft, and create the view `valid_rows` of them."""
    draft.write(connection, ROWS, query, values)
    rows = parquet_rows([part_of(draft.path, ROWS)])
    connection.execute(f"create or replace temp view valid_rows as from {rows}")


def write_counts_of_plain(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, draft: Draft
) -> tuple[int, int]:
    """Write the counts of `valid_rows` of a file without rejected lines.

    Returns:
        The number of valid rows, and the number of bytes that the app writes for them.
    """
    connection.execute(
        "create or replace temp table rejected_lines"
        " (event_date date, value_prop varchar, quarantine_reason varchar)"
    )
    return _write_counts(connection, file, draft)


def _write_counts(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, draft: Draft
) -> tuple[int, int]:
    """Write the counts of `valid_rows` and `rejected_lines`.

    Returns:
        The number of valid rows, and the number of bytes that the app writes for them.
    """
    draft.write(connection, COUNTS, sql(f"counts_of_{kind_of(file)}"))
    [(row_count, plain_bytes)] = connection.execute(
        "select"  # nosec B608
        " cast(coalesce(sum(case when quarantine_reason is null then row_count end), 0) as bigint),"
        " cast(coalesce(sum(plain_bytes), 0) as bigint)"
        f" from {parquet_rows([part_of(draft.path, COUNTS)])}"
    ).fetchall()
    return row_count, plain_bytes


def has_repeats(connection: duckdb.DuckDBPyConnection, events: str, count: int) -> bool:
    """Return whether two events may be equal because their hashes are equal.

    Sorting with numpy is faster than grouping in DuckDB when nearly all hashes differ.
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
    """Return the number of users in `valid_rows`."""
    [(users,)] = connection.execute("select count(distinct user_id) from valid_rows").fetchall()
    return int(users)


def count_distinct(values: Any) -> int:
    """Return the number of distinct values in a numpy array. Sorts the array in place."""
    # Imported here, because a run without new raw files does not need it.
    import numpy as np

    values.sort()
    return int(np.count_nonzero(values[1:] != values[:-1])) + 1 if len(values) else 0
