"""Fingerprint a raw file: one pass over its bytes that hashes them and sees what is odd."""

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
from typing import BinaryIO

from value_props.errors import ValuePropsError
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
    """Read the bytes of a file once. The hash releases the GIL, so others read meanwhile.

    Raises:
        ValuePropsError: broken gzip, UTF-16, or a file that cannot be read.
    """
    raw_hash = hashlib.sha256()
    return fingerprint_of(file, content_of(file, raw_hash), raw_hash)


def fingerprint_of(
    file: FoundFile, content: Iterable[bytes], raw_hash: hashlib._Hash
) -> Fingerprint:
    """The fingerprint of a content that is at hand.

    Args:
        file: the raw file.
        content: after gunzip, in chunks.
        raw_hash: of the bytes on disk, complete when the content is; used where it is compressed.
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
    found.sha256 = raw_hash.hexdigest() if file.is_gzip else found.content_sha256
    return found


def content_of(file: FoundFile, raw_hash: hashlib._Hash | None = None) -> Iterator[bytes]:
    """The content after gunzip, in chunks of which only the last may be short.

    Args:
        file: the raw file.
        raw_hash: updated with the bytes on disk of a file that is compressed.

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
        through = io.BufferedReader(_HashingReader(raw, raw_hash or hashlib.sha256()), CHUNK_BYTES)
        with io.BufferedReader(gzip.GzipFile(fileobj=through), CHUNK_BYTES) as unzipped:
            while chunk := unzipped.read(CHUNK_BYTES):
                yield chunk


class _HashingReader(io.RawIOBase):
    """Hands through the bytes of a file and hashes them on the way."""

    def __init__(self, raw: BinaryIO, raw_hash: hashlib._Hash) -> None:
        self.raw = raw
        self.hash = raw_hash

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.raw.read(len(buffer))
        self.hash.update(data)
        buffer[: len(data)] = data
        return len(data)


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
