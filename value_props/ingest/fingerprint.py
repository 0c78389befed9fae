"""Fingerprint a raw file: one pass over its content that hashes it and sees what is odd."""

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
# The delimiter that the SQL of this room gives the reader of lines: it would cut a line there.
DELIMITER = b"\x01"
# What stands once in each event as an app writes it. Both once a line: the keys are in its order.
_IN_EVENTS = (b'","event_data":{"position":', b'"},"user_id":')


@dataclass
class Fingerprint:
    """What one pass over the bytes of a raw file tells.

    Args:
        sha256: of the bytes on disk.
        content_sha256: of the bytes after gunzip.
        content_bytes: how many those are.
        is_odd: whether the content holds what DuckDB's reader of lines would lose or change: a
            carriage return, NUL, the delimiter, a BOM, invalid UTF-8.
        has_quote: whether a double quote is in it.
        events_in_order: how many events have their keys in the order of the app; 0 where the two
            marks of that order differ in number.
        ends_with_newline: whether its last byte ends a line.
    """

    sha256: str = ""
    content_sha256: str = ""
    content_bytes: int = 0
    is_odd: bool = False
    has_quote: bool = False
    events_in_order: int = 0
    ends_with_newline: bool = False


def fingerprint(file: FoundFile) -> Fingerprint:
    """Read a file. The hash releases the GIL, so others read meanwhile.

    Raises:
        ValuePropsError: broken gzip, UTF-16, or a file that cannot be read.
    """
    return fingerprint_of(file, content_of(file))


def fingerprint_of(file: FoundFile, content: Iterable[bytes]) -> Fingerprint:
    """The fingerprint of a content that is at hand.

    Args:
        file: the raw file.
        content: after gunzip, in chunks.
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
                # A mark may lie across two chunks.
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
    """The content after gunzip, in chunks of which only the last may be short.

    Raises:
        ValuePropsError: broken gzip, or a file that cannot be read.
    """
    with _refusing(file.path), file.path.open("rb", buffering=0) as raw:
        if not file.is_gzip:
            # A buffer of a megabyte for each small file would cost more than its reading.
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
