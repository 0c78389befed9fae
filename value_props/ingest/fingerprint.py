"""Fingerprint a raw file: one pass over its content hashes it and looks for odd bytes."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from value_props.errors import ValuePropsError
from value_props.files import sha256_of
from value_props.ingest.find import FoundFile, unreadable

CHUNK_BYTES = 1 << 20
# The SQL macro lines_of gives DuckDB this delimiter, so DuckDB would cut a line that contains it.
DELIMITER = b"\x01"
# Each of these occurs once in an event that the app wrote. If a line has both once, its keys are
# in the order of the app.
_IN_EVENTS = (b'","event_data":{"position":', b'"},"user_id":')


@dataclass
class Fingerprint:
    """Facts from one pass over the bytes of a raw file.

    Args:
        sha256: hash of the bytes on disk.
        content_sha256: hash of the bytes after gunzip.
        content_bytes: number of bytes after gunzip.
        is_odd: whether the content holds bytes that DuckDB's line reader would lose or change: a
            carriage return, NUL, the delimiter, a BOM or invalid UTF-8.
        has_quote: whether a pays file contains a double quote; always False for other sources.
        events_in_order: number of events whose keys are in the order of the app; 0 if the two
            marks of that order occur in different numbers.
        ends_with_newline: whether the last byte is a newline.
    """

    sha256: str = ""
    content_sha256: str = ""
    content_bytes: int = 0
    is_odd: bool = False
    has_quote: bool = False
    events_in_order: int = 0
    ends_with_newline: bool = False


def fingerprint(file: FoundFile) -> Fingerprint:
    """Read a file and return its fingerprint. Hashing releases the GIL, so other threads run.

    Raises:
        ValuePropsError: the gzip data is broken, the text is UTF-16, or the file cannot be read.
    """
    return fingerprint_of(file, content_of(file))


def fingerprint_of(file: FoundFile, content: Iterable[bytes]) -> Fingerprint:
    """Return the fingerprint of content that the caller has.

    Args:
        file: the raw file.
        content: its bytes after gunzip, in chunks. Only the last chunk may be short.

    Raises:
        ValuePropsError: the text is UTF-16, or the file cannot be read.
    """
    found = Fingerprint()
    content_hash = hashlib.sha256()
    utf8 = codecs.getincrementaldecoder("utf-8")()
    marks = [0, 0]
    last = b""
    for chunk in content:
        if not found.content_bytes:
            _refuse_utf16(file.path, chunk)
            found.is_odd = chunk.startswith(codecs.BOM_UTF8)
        content_hash.update(chunk)
        found.content_bytes += len(chunk)
        if not found.is_odd:
            found.is_odd = b"\r" in chunk or b"\0" in chunk or DELIMITER in chunk
            if not chunk.isascii() or utf8.getstate()[0]:
                try:
                    utf8.decode(chunk)
                except UnicodeDecodeError:
                    found.is_odd = True
        if file.source_name == "pays":
            found.has_quote = found.has_quote or b'"' in chunk
        else:
            for place, mark in enumerate(_IN_EVENTS):
                # A mark may start in one chunk and end in the next.
                seam = last[1 - len(mark) :] + chunk[: len(mark) - 1]
                marks[place] += chunk.count(mark) + seam.count(mark)
        last = chunk[-max(map(len, _IN_EVENTS)) :]
    found.is_odd = found.is_odd or bool(utf8.getstate()[0])
    found.events_in_order = marks[0] if marks[0] == marks[1] else 0
    found.ends_with_newline = last.endswith(b"\n")
    found.content_sha256 = content_hash.hexdigest()
    with _refusing(file.path):
        found.sha256 = sha256_of(file.path) if file.is_gzip else found.content_sha256
    return found


def content_of(file: FoundFile) -> Iterator[bytes]:
    """Yield the content after gunzip, in chunks. Only the last chunk may be short.

    Raises:
        ValuePropsError: the gzip data is broken, or the file cannot be read.
    """
    with _refusing(file.path), file.path.open("rb", buffering=0) as raw:
        if not file.is_gzip:
            # For a small file, allocating a buffer of one megabyte costs more than reading it.
            chunk_bytes = min(CHUNK_BYTES, file.size_bytes + 1)
            while chunk := raw.read(chunk_bytes):
                yield chunk
            return
        if file.size_bytes == 0:
            raise _broken_gzip(file.path, "it has no bytes")
        zipped = io.BufferedReader(raw, CHUNK_BYTES)
        with io.BufferedReader(gzip.GzipFile(fileobj=zipped), CHUNK_BYTES) as unzipped:
            while chunk := unzipped.read(CHUNK_BYTES):
                yield chunk


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _broken_gzip(path, error) from error
    except OSError as error:
        raise unreadable(path, error.strerror or error) from error


def _refuse_utf16(path: Path, start: bytes) -> None:
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
    zeros = [byte == 0 for byte in start[:4]]
    without_mark = zeros in ([False, True, False, True], [True, False, True, False])
    if start.startswith(marks) or without_mark:
        raise ValuePropsError(
            "it is written in UTF-16 or UTF-32", f"Raw file {path}", "Write it in UTF-8"
        )


def _broken_gzip(path: Path, fault: object) -> ValuePropsError:
    return ValuePropsError(
        f"the gzip data is broken or truncated ({fault})",
        f"Raw file {path}",
        "Fetch the file again",
    )
