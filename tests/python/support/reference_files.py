"""The rules of raw files for the independent reference: which are read, and what stops the run.

Like reference.py, it was written only from the rules of the data.
"""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from support.reference_rows import PAY_COLUMNS, BrokenRowError, decode, split_csv_line


class Stopped(Exception):  # noqa: N818 - the name says what became of the run
    """The run cannot start (exit code 2). The message names the file or source."""


@dataclass(frozen=True)
class RawFile:
    """A raw file after gunzip, with its rows as (physical line number, bytes)."""

    name: str
    content: bytes
    header: list[str]
    rows: list[tuple[int, bytes]]


_FILE_NAMES = {
    "prints": re.compile(r"prints.*\.(json|jsonl|ndjson)(\.gz)?", re.DOTALL),
    "taps": re.compile(r"taps.*\.(json|jsonl|ndjson)(\.gz)?", re.DOTALL),
    "pays": re.compile(r"pays.*\.csv(\.gz)?", re.DOTALL),
}


def read_files(raw_path: Path, source: str) -> list[RawFile]:
    """Read the files of a source in order of the code points of their names.

    Raises:
        Stopped: the run cannot start.
    """
    names = sorted(
        path.name
        for path in (raw_path.iterdir() if raw_path.is_dir() else [])
        if _FILE_NAMES[source].fullmatch(path.name)
    )
    if not names:
        raise Stopped(f"no file for {source} in {raw_path}")
    for name in names:
        if f"{name}.gz" in names:
            raise Stopped(f"{name} stands beside {name}.gz")
        if not (raw_path / name).is_file():
            raise Stopped(f"{name} is no file")
    files = [_read_file(raw_path / name, source) for name in names]
    first_with: dict[bytes, str] = {}
    for file in files:
        if file.rows and file.content in first_with:
            raise Stopped(f"{file.name} has the content of {first_with[file.content]}")
        first_with[file.content] = file.name
    return files


def _read_file(path: Path, source: str) -> RawFile:
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        content = _gunzip(path.name, content)
    if _looks_like_utf16(content):
        raise Stopped(f"{path.name} is UTF-16")
    # Blank lines are not rows. A line is blank if it is empty or has only spaces and tabs.
    lines = re.split(rb"\r\n|\n|\r", content.removeprefix(b"\xef\xbb\xbf"))
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip(b" \t")]
    header: list[str] = []
    if source == "pays" and rows:
        header = _parse_header(path.name, rows.pop(0)[1])
    return RawFile(path.name, content, header, rows)


def _gunzip(name: str, packed: bytes) -> bytes:
    # gzip accepts an empty file, but it is a delivery that was cut off at its first byte.
    if not packed:
        raise Stopped(f"{name} is a truncated gzip")
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise Stopped(f"{name} is no whole gzip: {error}") from error


def _looks_like_utf16(content: bytes) -> bool:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or content[:4] == b"\x00\x00\xfe\xff":
        return True
    is_nul = [byte == 0 for byte in content[:4]]
    return is_nul in ([False, True, False, True], [True, False, True, False])


def _parse_header(name: str, line: bytes) -> list[str]:
    try:
        header = split_csv_line(decode(line))
    except (BrokenRowError, ValueError) as error:
        raise Stopped(f"{name}: the header is malformed") from error
    for column in PAY_COLUMNS:
        if header.count(column) != 1:
            raise Stopped(f"{name}: the header must hold {column} once")
    return header
