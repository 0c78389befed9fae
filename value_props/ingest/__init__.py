"""From raw files to parsed rows: find, fingerprint, read, keep.

In comes a folder of raw files. Out go Parquet files, one set for each content, and an inventory
of which raw file has which content. `stage.py` shows both to dbt as its sources.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb

from value_props.errors import ValuePropsError
from value_props.ingest.find import FoundFile, find_raw_files, modified_at
from value_props.ingest.fingerprint import Fingerprint, fingerprint
from value_props.ingest.keep import COPIES, ContentFacts, FileFacts, ParsedFiles
from value_props.ingest.lines import count_lines
from value_props.ingest.read import is_proved, read_lines, read_plain, reader
from value_props.resources import resolve


class Trust(Enum):
    """How far a run trusts what earlier runs left.

    STAMPS: a file whose size and times are as they were holds what it held.
    CONTENTS: every file is hashed again; rows that were parsed from the same bytes are used.
    NOTHING: every file is hashed and parsed again.
    """

    STAMPS = "stamps"
    CONTENTS = "contents"
    NOTHING = "nothing"


@dataclass(frozen=True)
class RawFile:
    """A raw file of a run.

    Args:
        found: where it is.
        facts: what its bytes are.
        content: what is in it.
        parsed_path: where its valid rows are kept; the other parts lie beside them.
        is_read: whether this run read the bytes, and not an earlier one.
        is_parsed_now: whether this run parsed them.
    """

    found: FoundFile
    facts: FileFacts
    content: ContentFacts
    parsed_path: Path
    is_read: bool
    is_parsed_now: bool

    def as_row(self) -> dict[str, Any]:
        """The file as a row of the source raw.files."""
        content = asdict(self.content)
        fields = content.pop("unknown_fields")
        return {
            "source_name": self.found.source_name,
            "file_number": self.found.file_number,
            "file_name": self.found.path.name,
            "file_path": str(self.found.path),
            "parsed_path": str(self.parsed_path),
            "stamp": self.found.stamp,
            "hash_source": "read" if self.is_read else "stored",
            **asdict(self.facts),
            **content,
            "unknown_fields": [
                {"field_name": name, "row_count": count} for name, count in fields.items()
            ],
        }


@dataclass(frozen=True)
class Inventory:
    """The raw files of a run, by source and in their order."""

    files: list[RawFile]

    def check_unchanged(self) -> None:
        """Refuse files that are no longer those that were read.

        Raises:
            ValuePropsError: a file changed, or is gone.
        """
        for file in self.files:
            file.found.check_unchanged()


def ingest(raw_path: Path, parsed_files: ParsedFiles, trust: Trust = Trust.STAMPS) -> Inventory:
    """Read every raw file that is new or changed, and keep what was read.

    Args:
        raw_path: folder with the raw files.
        parsed_files: what earlier runs kept, and where this one keeps.
        trust: in what earlier runs left.

    Raises:
        ValuePropsError: a file that must stop the run; the first in the order of files.
    """
    read_at = time.time_ns()
    found = find_raw_files(raw_path)
    parsed_files.prepare()
    with _reading(parsed_files, trust) as reading:
        files = reading.all_of(found)
    inventory = Inventory(files)
    inventory.check_unchanged()
    _refuse_equal_contents(files)
    if any(file.is_read for file in files):
        parsed_files.sync()
        parsed_files.remember(
            {_key(file.found): file.facts for file in files if file.is_read},
            {_key(file.found): file.found.stamp for file in files},
            read_at,
        )
    return inventory


@dataclass
class _Reading:
    """Reads files side by side: each on a cursor of its own, its bytes hashed meanwhile."""

    parsed_files: ParsedFiles
    trust: Trust
    workers: ThreadPoolExecutor
    hashers: ThreadPoolExecutor
    scratch: Path
    # Files may have equal contents, and a connection makes one cursor at a time.
    lock: Lock = field(default_factory=Lock)

    def all_of(self, found: list[FoundFile]) -> list[RawFile]:
        known = self.parsed_files.known() if self.trust == Trust.STAMPS else {}
        recalled = {
            file.found: file
            for file in self.workers.map(lambda file: self._recall(file, known), found)
            if file
        }
        new = [file for file in found if file not in recalled]
        if not new:
            return list(recalled.values())
        sizes = self.parsed_files.known_sizes()
        with reader() as connection:
            reading = [self.workers.submit(self._read, connection, file, sizes) for file in new]
            _, rest = wait(reading, return_when=FIRST_EXCEPTION)
            for one in rest:
                one.cancel()
            # Nobody may read when the connection is closed.
            wait(rest)
            # The first that failed, in the order of files, is the one that is told.
            read = {file: one.result() for file, one in zip(new, reading, strict=True)}
        return [recalled.get(file) or read[file] for file in found]

    def _recall(self, file: FoundFile, known: dict[str, FileFacts]) -> RawFile | None:
        """A file as it was read before, if nothing has changed since."""
        facts = known.get(_key(file))
        content = facts and self.parsed_files.facts_of(file.source_name, facts.content_sha256)
        if not facts or not content:
            return None
        return self._raw_file(file, facts, content, is_read=False, is_parsed_now=False)

    def _read(
        self, connection: duckdb.DuckDBPyConnection, file: FoundFile, known_sizes: set[int]
    ) -> RawFile:
        draft = self.parsed_files.draft_of(file.source_name, file.file_number)
        hashing: Future[Fingerprint] = self.hashers.submit(fingerprint, file)
        modified = modified_at(file.path, file.modified_seconds)
        with self.lock:
            cursor = connection.cursor()
        with cursor, _refusing(file):
            is_new = self.trust == Trust.NOTHING or file.size_bytes not in known_sizes
            found = read_plain(cursor, file, draft) if is_new else None
            prints = hashing.result()
            facts = FileFacts(
                size_bytes=file.size_bytes,
                modified_at=modified,
                sha256=prints.sha256,
                content_sha256=prints.content_sha256,
            )
            content = None
            if self.trust != Trust.NOTHING:
                with self.lock:
                    content = self.parsed_files.facts_of(file.source_name, facts.content_sha256)
            if content:
                for path in found.parts.values() if found else ():
                    path.unlink()
                return self._raw_file(file, facts, content, is_read=True, is_parsed_now=False)
            if not is_new:
                found = read_plain(cursor, file, draft)
            if not found or not is_proved(file, found, prints):
                copy = self.scratch / f"{file.source_name}_{file.file_number}.txt"
                lines = count_lines(file, prints.is_odd, copy)
                found = read_lines(cursor, file, lines, draft)
                copy.unlink(missing_ok=True)
        file.check_unchanged()
        content = self.parsed_files.describe(found, draft)
        with self.lock:
            self.parsed_files.keep(file.source_name, facts.content_sha256, content, draft)
        return self._raw_file(file, facts, content, is_read=True, is_parsed_now=True)

    def _raw_file(
        self,
        file: FoundFile,
        facts: FileFacts,
        content: ContentFacts,
        *,
        is_read: bool,
        is_parsed_now: bool,
    ) -> RawFile:
        path = self.parsed_files.path_of(file.source_name, facts.content_sha256)
        return RawFile(file, facts, content, path, is_read, is_parsed_now)


@contextmanager
def _reading(parsed_files: ParsedFiles, trust: Trust) -> Iterator[_Reading]:
    threads = resolve().threads
    with (
        tempfile.TemporaryDirectory(dir=parsed_files.folder, prefix=COPIES) as scratch,
        ThreadPoolExecutor(threads) as hashers,
        ThreadPoolExecutor(threads) as workers,
    ):
        yield _Reading(parsed_files, trust, workers, hashers, Path(scratch))


@contextmanager
def _refusing(file: FoundFile) -> Iterator[None]:
    """Name the file where DuckDB fails. It takes any line, so disk or memory is at fault."""
    try:
        yield
    except duckdb.Error as error:
        # Later lines of the message may quote rows.
        fault = str(error).partition("\n")[0]
        raise ValuePropsError(
            f"DuckDB could not read it, or keep what it read ({fault})",
            f"Raw file {file.path}",
            "See that the disk of the out path has room and that the memory limit is not too low,"
            " and run again",
        ) from error


def _key(file: FoundFile) -> str:
    """The name by which the facts of a file are remembered."""
    return str(file.path.absolute())


def _refuse_equal_contents(files: list[RawFile]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for file in files:
        # Two empty files double nothing.
        if file.content.row_count == 0:
            continue
        key = (file.found.source_name, file.facts.content_sha256)
        if key in seen:
            raise ValuePropsError(
                f"it has the same content as {seen[key]}, which would count its rows twice",
                f"Raw file {file.found.path}",
                "Remove one of the two",
            )
        seen[key] = file.found.path
