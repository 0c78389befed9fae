"""Count the lines of a raw file without DuckDB, and copy a file that DuckDB would misread.

DuckDB reads most files in place. For an odd file (see fingerprint.py) or one with a very long
line, it reads a copy whose lines end in `\\n`. Lines that it could not read from a copy either
are passed to it as values: the hard lines.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from value_props.errors import ValuePropsError
from value_props.ingest.find import FoundFile
from value_props.ingest.fingerprint import DELIMITER, content_of

PAYS_COLUMNS = ("pay_date", "total", "user_id", "value_prop")
# The rules of the data call longer lines malformed.
MAX_LINE_BYTES = 16 << 20
# Longer lines become hard lines, so that the buffers of DuckDB's reader stay small.
LONG_LINE_BYTES = 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANK = b" \t"
_BLANK_LINE = re.compile(rb"\n[ \t]*(?=\n)")
_CSV_FIELD = re.compile(r'("(?:[^"]|"")*"|[^",]*),')
_CSV_LINE = re.compile(r'(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*')


@dataclass
class ContentFacts:
    """Facts about the content of a raw file.

    Args:
        line_count: number of physical lines.
        row_count: number of lines that are neither blank nor a CSV header.
        header_line_number: physical line of the CSV header, 1-based; None without a header.
        columns: column names of the CSV header, in its order; empty for JSON.
        unknown_fields: number of rows for each JSON key or CSV column that no rule knows.
        distinct_users: number of users in the valid rows.
        is_plain: True if the length proof holds, False if the file was read line by line.
        parts: names of the parts of its parsed file.
        content_number: 1-based number among the contents that share a parsed file; 0 if the
            parsed file holds only this content.
    """

    line_count: int = 0
    row_count: int = 0
    header_line_number: int | None = None
    columns: list[str] = field(default_factory=list)
    unknown_fields: dict[str, int] = field(default_factory=dict)
    distinct_users: int = 0
    is_plain: bool = False
    parts: list[str] = field(default_factory=list)
    content_number: int = 0


@dataclass(frozen=True)
class HardLine:
    """A line that is passed to DuckDB as a value, not through a file.

    Args:
        line_number: physical line, 1-based.
        raw_text: at most the first 16 MiB of the line. Bytes that are not UTF-8 are written
            `\\xNN`.
        is_readable: False if the line is malformed for its bytes alone: it is too long, holds
            NUL, or is not UTF-8.
    """

    line_number: int
    raw_text: str
    is_readable: bool


@dataclass
class Lines:
    """The counted lines of a raw file, and the path from which DuckDB reads them.

    Args:
        read_path: the raw file, or its copy.
        content: facts about its lines and header; DuckDB adds the rest.
        hard_lines: lines that are blank in the copy; see HardLine.
    """

    read_path: Path
    content: ContentFacts = field(default_factory=ContentFacts)
    hard_lines: list[HardLine] = field(default_factory=list)


def count_lines(file: FoundFile, is_odd: bool, scratch: Path) -> Lines:
    """Count the lines of a file, and write a copy if DuckDB needs one.

    Args:
        file: the raw file.
        is_odd: see Fingerprint.
        scratch: folder for the copy.

    Raises:
        ValuePropsError: a CSV header has a misplaced quote, or lacks or repeats a column.
    """
    lines = Lines(file.path.absolute())
    if not is_odd and _count_in_place(lines.content, file):
        return lines
    lines = Lines(scratch.absolute() / "lines.txt")
    content = lines.content
    with lines.read_path.open("wb") as copy:
        for line in _lines(content_of(file)):
            content.line_count += 1
            text = b""
            if line.strip(_BLANK):
                if file.source_name == "pays" and content.header_line_number is None:
                    _read_header(content, file.path, content.line_count, line)
                else:
                    content.row_count += 1
                    text = line
                    hard_line = _hard_line(content.line_count, line)
                    if hard_line:
                        lines.hard_lines.append(hard_line)
                        text = b""
            copy.write(text + b"\n")
    return lines


def _count_in_place(content: ContentFacts, file: FoundFile) -> bool:
    """Count a file whose lines all end in `\\n`. Return False if one of them is very long."""
    rest = b""
    for chunk in content_of(file):
        first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
        if first >= 0:
            # Only the line that spans two chunks is copied, not the whole chunk.
            _count_lines_of(content, file, rest + chunk[:first], chunk)
            rest = b""
        rest += chunk[last + 1 :]
        if len(rest) > LONG_LINE_BYTES:
            return False
    if rest:
        _count_lines_of(content, file, rest, b"\n")
    return True


def _count_lines_of(content: ContentFacts, file: FoundFile, line: bytes, chunk: bytes) -> None:
    """Count a line that ends at the first newline of a chunk, and the later lines of the chunk."""
    line_count = chunk.count(b"\n")
    blanks = len(_BLANK_LINE.findall(chunk)) + (not line.strip(_BLANK))
    is_headless = file.source_name == "pays" and content.header_line_number is None
    if is_headless and blanks < line_count:
        lines = [line, *chunk.split(b"\n", blanks + 1)[1:]]
        place = next(place for place, text in enumerate(lines) if text.strip(_BLANK))
        _read_header(content, file.path, content.line_count + place + 1, lines[place])
        content.row_count -= 1
    content.line_count += line_count
    content.row_count += line_count - blanks


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines without their ends (`\\n`, `\\r\\n` or a lone `\\r`) and without a BOM."""
    pending: list[bytes] = []
    is_first, ended_by_cr = True, False
    for chunk in chunks:
        text = chunk.removeprefix(codecs.BOM_UTF8) if is_first else chunk
        is_first = False
        # The \r at the end of the last chunk already ended the line of this \r\n.
        if ended_by_cr and text.startswith(b"\n"):
            text = text[1:]
        ended_by_cr = text.endswith(b"\r") if text else False
        *whole, last = _LINE_END.split(text)
        for line in whole:
            pending.append(line)
            yield b"".join(pending)
            pending = []
        if last:
            pending.append(last)
    if pending:
        yield b"".join(pending)


def _hard_line(line_number: int, line: bytes) -> HardLine | None:
    try:
        line.decode()
        is_readable = b"\0" not in line and len(line) <= MAX_LINE_BYTES
    except UnicodeDecodeError:
        is_readable = False
    if is_readable and DELIMITER not in line and len(line) <= LONG_LINE_BYTES:
        return None
    text = line[:MAX_LINE_BYTES].decode(errors="backslashreplace")
    return HardLine(line_number, text, is_readable)


def _read_header(content: ContentFacts, path: Path, line_number: int, line: bytes) -> None:
    text = line.decode(errors="backslashreplace")
    # Without a header, the first line is a payment, and messages must not quote raw rows.
    is_header = sum(column in text.lower() for column in PAYS_COLUMNS) > 1
    reading = f"it reads {text}" if is_header else "the line names no columns"
    if not _CSV_LINE.fullmatch(text):
        raise ValuePropsError(
            f"its header has a quote where none may stand: {reading}",
            f"Raw file {path}, line {line_number}",
            f"Write the header as {','.join(PAYS_COLUMNS)}",
        )
    columns = [
        part[1:-1].replace('""', '"') if part.startswith('"') else part
        for part in _CSV_FIELD.findall(text + ",")
    ]
    counts = Counter(columns)
    for wanted in PAYS_COLUMNS:
        if counts[wanted] == 1:
            continue
        fault = "repeats" if counts[wanted] else "lacks"
        raise ValuePropsError(
            f"its header {fault} the column {wanted}: {reading}",
            f"Raw file {path}, line {line_number}",
            f"Name each of {', '.join(PAYS_COLUMNS)} once, spelled like this",
        )
    content.header_line_number, content.columns = line_number, columns
