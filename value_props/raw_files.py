"""Find the raw files; hash, check and count them in one pass, independent of the engine.

DuckDB reads most files in place. Where a file holds bytes that its line reader would
lose or change (carriage returns, a BOM, NUL, the delimiter byte, invalid UTF-8, very
long lines), it gets a copy with plain `\\n` lines, and the lines that not even a copy
can carry travel beside it as hard lines.

A file that was parsed before and has not changed since is not read again; see parsed.py.
"""

from __future__ import annotations

import codecs
import datetime
import gzip
import hashlib
import io
import json
import os
import re
import stat
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from value_props import parsed
from value_props.errors import ValuePropsError, owners_of
from value_props.parsed import Facts, ParsedFiles

SOURCES = ("prints", "taps", "pays")
PATTERNS = {
    "prints": re.compile(r"prints.*\.(json|jsonl|ndjson)(\.gz)?", re.DOTALL),
    "taps": re.compile(r"taps.*\.(json|jsonl|ndjson)(\.gz)?", re.DOTALL),
    "pays": re.compile(r"pays.*\.csv(\.gz)?", re.DOTALL),
}
# Names that somebody may have meant as one of those: in other letters, with another ending.
_NEARLY = re.compile(
    r"(prints?|taps?|pays?|payments?)([^a-z].*)?"
    r"|.*(prints|taps|pays|payments).*\.(json|jsonl|ndjson|csv)(\.\w+)?",
    re.DOTALL,
)
PAYS_COLUMNS = ("pay_date", "total", "user_id", "value_prop")

_NAMES_SHOWN = 7
CHUNK_BYTES = 1 << 20
# The delimiter that macros/raw gives the line reader: a line that holds it would be cut.
DELIMITER = b"\x01"
# Longer lines are malformed by the rules of the data.
MAX_LINE_BYTES = 16 << 20
# Longer lines travel as hard lines, so that the reader's buffers stay small.
LONG_LINE_BYTES = 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANKS = (b" ", b"\t")
_BLANK = b"".join(_BLANKS)
_CSV_FIELD = re.compile(r'("(?:[^"]|"")*"|[^",]*),')
_CSV_LINE = re.compile(r'(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*')


@dataclass(frozen=True)
class HardLine:
    """A line that reaches the engine as a value, and not through a file.

    Args:
        line_number: physical, 1-based.
        raw_text: bytes that are not UTF-8 as `\\xNN`.
        is_readable: false where the bytes alone make the line malformed.
    """

    line_number: int
    raw_text: str
    is_readable: bool


_FACTS = tuple(one.name for one in fields(Facts))


@dataclass(kw_only=True)
class RawFile(Facts):
    """One raw file as it was found.

    Args:
        source_name: prints, taps or pays.
        file_number: 1-based place among the source's files, in order of code points.
        file_name: without folder.
        file_path: as the user would name it.
        read_path: what the engine reads: the file itself, or a copy.
        parsed_path: where its rows are once they are parsed.
        is_parsed: whether they are there already.
        stamp: size and times before it was read.
        hash_source: `read` where the bytes were hashed in this run, `stored` where an earlier
            run did and the file has not changed since.
        hard_lines: see HardLine; of a file that is read in this run.

    The rest is what its bytes say; see Facts.
    """

    source_name: str
    file_number: int
    file_name: str
    file_path: str
    read_path: str
    parsed_path: str = ""
    is_parsed: bool = False
    stamp: str = ""
    hash_source: str = "read"
    hard_lines: list[HardLine] = field(default_factory=list)

    @property
    def absolute_path(self) -> str:
        """The path by which its facts are remembered."""
        return str(Path(self.file_path).absolute())

    @property
    def facts(self) -> Facts:
        """What its bytes say."""
        return Facts(**{name: getattr(self, name) for name in _FACTS})

    def recall(self, facts: Facts) -> None:
        """Take what an earlier run found, instead of reading the file."""
        for name in _FACTS:
            setattr(self, name, getattr(facts, name))
        self.hash_source = "stored"


@dataclass
class Inventory:
    """The raw files of a run, and what stat said of them when they were read."""

    files: list[RawFile]
    stamps: dict[str, tuple[int, int, int]]

    def check_unchanged(self) -> None:
        """Raise where a file is no longer the one that was hashed.

        Raises:
            ValuePropsError: a file changed, or is gone.
        """
        for file_path, stamp in self.stamps.items():
            if _stamp(Path(file_path)) != stamp:
                raise parsed.changed(file_path)


class Trust(Enum):
    """How far a run trusts what earlier runs left.

    STAMPS: a file whose size and times are as they were holds what it held.
    CONTENTS: every file is hashed again; rows that were parsed from the same bytes are used.
    NOTHING: every file is hashed and parsed again.
    """

    STAMPS = "stamps"
    CONTENTS = "contents"
    NOTHING = "nothing"


_remembered: dict[Path, Inventory] = {}


def remember(raw_path: Path, inventory: Inventory) -> None:
    """Keep an inventory for the dbt model of this process, so that files are hashed once."""
    _remembered[raw_path.absolute()] = inventory


def forget() -> None:
    """Drop what was remembered: the next run looks at the files again."""
    _remembered.clear()


def recall_or_inspect(
    raw_path: Path, copies_path: Path, parsed_files: ParsedFiles, trust: Trust
) -> Inventory:
    """The remembered inventory of this folder, or a new one."""
    remembered = _remembered.get(raw_path.absolute())
    return remembered or inspect(raw_path, copies_path, parsed_files, trust)


def is_raw_file(name: str) -> bool:
    """Whether a file of that name belongs to a source."""
    return any(pattern.fullmatch(name) for pattern in PATTERNS.values())


def endings_of(source_name: str) -> str:
    """How the names of a source's files end, in words."""
    return "*.csv" if source_name == "pays" else "*.json, *.jsonl or *.ndjson"


def ignored_names(names: Iterable[str]) -> list[str]:
    """Of the names in a raw path, those that nearly are names of raw files, in their order."""
    return sorted(
        name
        for name in names
        if not is_raw_file(name)
        and not name.startswith(".")
        and (is_raw_file(name.lower()) or _NEARLY.fullmatch(name.lower().strip()))
    )


def ignored_sentence(names: Sequence[str]) -> str:
    """The warning of names that are ignored."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (
        f"Ignored in the raw path: {shown}{more}. Raw files are named prints* or taps* with the"
        " ending .json, .jsonl or .ndjson, and pays* with .csv, in lower case, perhaps with .gz"
    )


def find_raw_files(raw_path: Path) -> list[RawFile]:
    """List the files of the three sources, not yet read.

    Raises:
        ValuePropsError: no folder, no file for a source, a name that is no file that can be read,
            or a file beside its own .gz.
    """
    if not raw_path.is_dir():
        raise ValuePropsError(
            "there is no such folder",
            f"Raw path {raw_path}",
            "Name the folder that holds the raw files, or write sample data with"
            f" `value-props sample --out {raw_path}`",
        )
    names = sorted(path.name for path in raw_path.iterdir())
    files = []
    for source_name in SOURCES:
        matches = [name for name in names if PATTERNS[source_name].fullmatch(name)]
        if not matches:
            ignored = ignored_names(names)
            raise ValuePropsError(
                f"no file for the source {source_name}",
                f"Raw path {raw_path}",
                f"Add a file named {source_name}{endings_of(source_name)} (each also with .gz), or"
                f" write sample data with `value-props sample --out {raw_path}`",
                details=[ignored_sentence(ignored)] if ignored else [],
            )
        for number, name in enumerate(matches, start=1):
            if name + ".gz" in matches:
                raise ValuePropsError(
                    f"it lies beside {name}.gz, which would count its rows twice",
                    f"Raw file {raw_path / name}",
                    "Remove one of the two",
                )
            path = raw_path / name
            _refuse_unreadable(path)
            files.append(
                RawFile(
                    source_name=source_name,
                    file_number=number,
                    file_name=name,
                    file_path=str(path),
                    read_path=str(path.absolute()),
                )
            )
    return files


def inspect(
    raw_path: Path,
    copies_path: Path,
    parsed_files: ParsedFiles,
    trust: Trust = Trust.STAMPS,
) -> Inventory:
    """Read every raw file that is new or changed: hash it, check it, count its lines.

    Args:
        raw_path: folder with the raw files.
        copies_path: where copies go of files that the engine can't read in place.
        parsed_files: the rows of earlier runs.
        trust: in what earlier runs left.

    Returns:
        The files by source and in order, with physical lines and rows counted here.

    Raises:
        ValuePropsError: a file that must stop the run.
    """
    read_at = time.time_ns()
    files = find_raw_files(raw_path)
    stamps = {file.file_path: _stamp(Path(file.file_path)) for file in files}
    for file in files:
        file.stamp = parsed.stamp_of(Path(file.file_path))
    parsed_files.prepare()
    known = parsed_files.known() if trust == Trust.STAMPS else {}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:

        def recall(file: RawFile) -> None:
            facts = known.get(file.absolute_path)
            # Damaged rows have to be parsed again, and so the file has to be read.
            if facts and parsed_files.holds(file.source_name, facts.content_sha256):
                file.recall(facts)

        for _ in pool.map(recall, files):
            pass
        new = [file for file in files if file.hash_source == "read"]
        # Reading fails where the first bad file stands, in the order of files.
        for _ in pool.map(lambda file: _inspect_file(file, copies_path), new):
            pass
    inventory = Inventory(files, stamps)
    inventory.check_unchanged()
    _refuse_equal_contents(files)
    for file in files:
        path = parsed_files.path_of(file.source_name, file.content_sha256)
        file.parsed_path = str(path)
        file.is_parsed = trust != Trust.NOTHING and (
            file.hash_source == "stored"
            or parsed_files.holds(file.source_name, file.content_sha256)
        )
    if new:
        parsed_files.remember(
            {file.absolute_path: file.facts for file in new},
            {file.absolute_path: file.stamp for file in new},
            read_at,
        )
    return inventory


def as_json(inventory: Inventory) -> str:
    """The inventory as a JSON list, one object a file; read by macros/raw/listed_raw_files.sql."""
    return json.dumps([asdict(file) for file in inventory.files])


def _refuse_unreadable(path: Path) -> None:
    """Refuse a name that matches and is no file that can be read: leaving it out loses its rows."""
    try:
        path.name.encode()
        mode = path.stat().st_mode
    except UnicodeEncodeError:
        raise ValuePropsError(
            "its name is not UTF-8", f"Raw file {path}", "Rename the file"
        ) from None
    except OSError as error:
        fault = "it is a link to a file that is not there" if path.is_symlink() else None
        raise _unreadable(path, fault or error.strerror) from error
    if not stat.S_ISREG(mode):
        raise _unreadable(path, "it is a folder" if stat.S_ISDIR(mode) else "it is no file")
    if not os.access(path, os.R_OK):
        raise _unreadable(path, f"no permission: {owners_of(path)}")


def _unreadable(path: Path, fault: object) -> ValuePropsError:
    return ValuePropsError(
        f"it cannot be read ({fault})",
        f"Raw file {path}",
        "Mend it, or give it another name or place if it is no raw file",
    )


def _modified_at(path: Path, seconds: float) -> str:
    try:
        time_of_change = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValuePropsError(
            f"its time of modification is no date ({error})",
            f"Raw file {path}",
            "Set it with `touch`",
        ) from error
    return time_of_change.replace(tzinfo=None).isoformat(" ", "microseconds")


def _inspect_file(file: RawFile, copies_path: Path) -> None:
    path = Path(file.file_path)
    status = path.stat()
    file.size_bytes = status.st_size
    if path.suffix == ".gz" and status.st_size == 0:
        raise _broken_gzip(path, "it has no bytes")
    file.modified_at = _modified_at(path, status.st_mtime)
    try:
        if not _count_plain(file, path):
            _count_and_copy(file, path, copies_path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _broken_gzip(path, error) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or error) from error


class _HashingReader(io.RawIOBase):
    """Hands through the bytes of a file and hashes them on the way."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.raw.read(len(buffer))
        self.hash.update(data)
        buffer[: len(data)] = data
        return len(data)


def _chunks(file: RawFile, path: Path) -> Iterator[bytes]:
    """The content in chunks after gunzip; sets both hashes at its end."""
    with path.open("rb", buffering=0) as raw:
        content_hash = hashlib.sha256()
        if path.suffix == ".gz":
            reader = _HashingReader(raw)
            # Buffered, so that a chunk is short at the end only and the first holds a BOM whole.
            unzipped = gzip.GzipFile(fileobj=io.BufferedReader(reader, CHUNK_BYTES))
            with io.BufferedReader(unzipped, CHUNK_BYTES) as buffered:
                while chunk := buffered.read(CHUNK_BYTES):
                    content_hash.update(chunk)
                    yield chunk
            file.sha256 = reader.hash.hexdigest()
        else:
            while chunk := raw.read(CHUNK_BYTES):
                content_hash.update(chunk)
                yield chunk
            file.sha256 = content_hash.hexdigest()
        file.content_sha256 = content_hash.hexdigest()


def _count_plain(file: RawFile, path: Path) -> bool:
    """Count a file that the engine can read in place; False where it is none."""
    utf8 = codecs.getincrementaldecoder("utf-8")()
    rest = b""
    is_first = True
    for chunk in _chunks(file, path):
        if is_first:
            _refuse_utf16(path, chunk)
            if chunk.startswith(codecs.BOM_UTF8):
                return False
            is_first = False
        if b"\r" in chunk or b"\0" in chunk or DELIMITER in chunk:
            return False
        if not chunk.isascii() or utf8.getstate()[0]:
            try:
                utf8.decode(chunk)
            except UnicodeDecodeError:
                return False
        text = rest + chunk
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        if len(rest) > LONG_LINE_BYTES:
            return False
        if end:
            _count_body(file, path, text[:end])
    if utf8.getstate()[0]:
        return False
    if rest:
        _count_body(file, path, rest + b"\n")
    return True


def _count_body(file: RawFile, path: Path, body: bytes) -> None:
    """Count whole lines, each ended by a newline, of a file that holds no other ends."""
    lines = body.count(b"\n")
    # A byte is found ten times faster than a pair, and compact files hold no space.
    spaces = [space for space in _BLANKS if space in body]
    is_suspect = body.startswith((b"\n", *_BLANKS)) or any(
        b"\n" + start in body for start in (b"\n", *spaces)
    )
    blanks = 0
    if is_suspect:
        blanks = sum(not line.strip(_BLANK) for line in body.split(b"\n")[:-1])
    if file.source_name == "pays" and file.header_line_number is None and blanks < lines:
        for offset, line in enumerate(body.split(b"\n")):
            if line.strip(_BLANK):
                _read_header(file, path, file.line_count + offset + 1, line)
                break
        blanks += 1
    file.line_count += lines
    file.row_count += lines - blanks


def _count_and_copy(file: RawFile, path: Path, copies_path: Path) -> None:
    """Count a file line by line, and write the copy that the engine reads."""
    file.line_count = file.row_count = 0
    file.header_line_number, file.header_text, file.columns = None, None, []
    copies_path.mkdir(parents=True, exist_ok=True)
    copy_path = copies_path / f"{file.source_name}_{file.file_number}.txt"
    with copy_path.open("wb") as copy:
        for line in _lines(_chunks(file, path)):
            file.line_count += 1
            if not line.strip(_BLANK):
                copy.write(b"\n")
                continue
            if file.source_name == "pays" and file.header_line_number is None:
                _read_header(file, path, file.line_count, line)
                file.header_text = None
                copy.write(b"\n")
                continue
            file.row_count += 1
            hard_line = _hard_line(file.line_count, line)
            if hard_line:
                file.hard_lines.append(hard_line)
            copy.write((b"" if hard_line else line) + b"\n")
    file.read_path = str(copy_path.absolute())


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their ends, which are `\\n`, `\\r\\n` or a lone `\\r`; no BOM."""
    pending: list[bytes] = []
    is_first, ended_by_cr = True, False
    for chunk in chunks:
        text = chunk.removeprefix(codecs.BOM_UTF8) if is_first else chunk
        is_first = False
        # The first half of a \r\n ended the last line already.
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
    return HardLine(line_number, line.decode(errors="backslashreplace"), is_readable)


def _read_header(file: RawFile, path: Path, line_number: int, line: bytes) -> None:
    text = line.decode(errors="backslashreplace")
    # A file without a header begins with a payment, and no message may tell one.
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
    file.header_line_number, file.header_text, file.columns = line_number, text, columns


def _refuse_utf16(path: Path, start: bytes) -> None:
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
    zeros = [byte == 0 for byte in start[:4]]
    without_mark = zeros in ([False, True, False, True], [True, False, True, False])
    if start.startswith(marks) or without_mark:
        raise ValuePropsError(
            "it is written in UTF-16 or UTF-32", f"Raw file {path}", "Write it in UTF-8"
        )


def _refuse_equal_contents(files: list[RawFile]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for file in files:
        # Two empty files double nothing.
        if file.row_count == 0:
            continue
        key = (file.source_name, file.content_sha256)
        if key in seen:
            raise ValuePropsError(
                f"it has the same content as {seen[key]}, which would count its rows twice",
                f"Raw file {file.file_path}",
                "Remove one of the two",
            )
        seen[key] = file.file_path


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise parsed.changed(str(path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise parsed.changed(str(path))
    return status.st_size, status.st_mtime_ns, status.st_ino


def _broken_gzip(path: Path, fault: object) -> ValuePropsError:
    return ValuePropsError(
        f"the gzip data is broken or truncated ({fault})",
        f"Raw file {path}",
        "Fetch the file again",
    )
