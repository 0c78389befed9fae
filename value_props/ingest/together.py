"""Read many small files as one, because binding a query costs more than reading a small file.

The contents are joined in one copy, and the length proof (read.py) is applied to the copy. If it
holds, each line of the copy is one row, so the place of a row tells from which file it came.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import duckdb

from value_props.ingest.find import FoundFile
from value_props.ingest.fingerprint import Fingerprint, content_of, fingerprint_of
from value_props.ingest.lines import ContentFacts
from value_props.ingest.read import (
    EVENT_HASH,
    PLAIN_HEADER,
    ROWS,
    Draft,
    count_distinct,
    is_event,
    kind_of,
    may_be_plain,
    plain_content,
    reading,
    sql,
    write_counts_of_plain,
)

SMALL_BYTES = 1 << 18
# Size of a batch. Larger batches are no faster, and one file that is not plain makes the whole
# batch be read again.
BATCH_BYTES = 1 << 24
FEWEST = 8


@dataclass(frozen=True)
class SmallFile:
    """A small file, read into memory.

    Args:
        found: its place and stamp.
        bytes_of: its fingerprint.
        rows: its lines without the header, each with its line end; empty if it is not plain.
    """

    found: FoundFile
    bytes_of: Fingerprint
    rows: bytes

    @property
    def row_count(self) -> int:
        """Number of lines in `rows`."""
        return self.rows.count(b"\n")


def batches_of(files: Sequence[FoundFile]) -> Iterator[list[FoundFile]]:
    """Yield batches of files of one source. Large files, and a few small ones, come singly."""
    for _, of_source in groupby(files, key=lambda file: file.source_name):
        small: list[FoundFile] = []
        small_bytes = 0
        for file in of_source:
            if file.size_bytes > SMALL_BYTES:
                yield [file]
                continue
            small.append(file)
            small_bytes += file.size_bytes
            if small_bytes > BATCH_BYTES:
                yield small
                small, small_bytes = [], 0
        yield from [small] if len(small) >= FEWEST else [[file] for file in small]


def small_file(file: FoundFile) -> SmallFile | None:
    """Read a file into memory. Return None if it is too large after gunzip.

    Raises:
        ValuePropsError: the gzip data is broken, the text is UTF-16, or the file cannot be read.
    """
    content = b""
    for chunk in content_of(file):
        content += chunk
        if len(content) > SMALL_BYTES:
            return None
    bytes_of = fingerprint_of(file, [content] if content else [])
    header = b"" if is_event(file) else PLAIN_HEADER
    rows = content.removeprefix(header)
    if rows and not bytes_of.ends_with_newline:
        rows += b"\n"
    small = SmallFile(file, bytes_of, rows)
    if content.startswith(header) and may_be_plain(file, bytes_of, small.row_count):
        return small
    return replace(small, rows=b"")


def read_together(
    connection: duckdb.DuckDBPyConnection, files: Sequence[SmallFile], scratch: Path, path: Path
) -> tuple[Draft, list[ContentFacts]] | None:
    """Read plain files of one source as one file.

    Args:
        connection: a cursor of reader().
        files: files of one source, in their order.
        scratch: folder for the copy that joins their contents.
        path: path of the parts to write, without the endings.

    Returns:
        The draft, and the facts of each content in the order of `files`. None if a file is not
        plain or repeats an event.
    """
    first = files[0].found
    header = b"" if is_event(first) else PLAIN_HEADER
    copy = scratch / "joined.txt"
    copy.write_bytes(header + b"".join(file.rows for file in files))
    contents = [plain_content(file.found, file.row_count) for file in files]
    places, place = [], 0
    for number, facts in enumerate(contents, start=1):
        facts.content_number = number
        first_line = 1 + (facts.header_line_number or 0)
        places.append({"first_row": place, "first_line": first_line, "content_number": number})
        place += facts.row_count
    try:
        query = sql(f"plain_{kind_of(first)}")
        connection.execute(f"create or replace temp table joined as {query}", reading(copy))
    except duckdb.Error:
        return None
    connection.execute(
        f"create or replace temp table placed as {sql('together')}", {"places": json.dumps(places)}
    )
    connection.execute("create or replace temp view valid_rows as from placed")
    draft = Draft(path)
    row_count, plain_bytes = write_counts_of_plain(connection, first, draft)
    if (row_count, plain_bytes) != (place, sum(len(file.rows) for file in files)):
        return None
    if not _are_without_repeats(connection, first, contents):
        return None
    draft.write(connection, ROWS, "from valid_rows")
    return draft, contents


def _are_without_repeats(
    connection: duckdb.DuckDBPyConnection, file: FoundFile, contents: Sequence[ContentFacts]
) -> bool:
    """Return whether no content repeats an event. Also sets distinct_users of each content."""
    import numpy as np

    ends = np.cumsum([facts.row_count for facts in contents])[:-1]
    columns = connection.execute(
        f"select user_id, {EVENT_HASH if is_event(file) else 'rowid'} as event_hash"  # nosec B608
        " from placed order by rowid"
    ).fetchnumpy()
    users, hashes = (np.split(columns[name], ends) for name in ("user_id", "event_hash"))
    for facts, users_of, hashes_of in zip(contents, users, hashes, strict=True):
        if count_distinct(hashes_of) < facts.row_count:
            return False
        facts.distinct_users = count_distinct(users_of)
    return True
