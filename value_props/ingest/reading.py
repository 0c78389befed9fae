"""Read the new and changed raw files of a run in parallel."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from threading import Event, Lock
from typing import Any

import duckdb

from value_props.errors import ValuePropsError
from value_props.ingest.find import FoundFile, modified_at
from value_props.ingest.fingerprint import Fingerprint, fingerprint
from value_props.ingest.inventory import RawFile
from value_props.ingest.keep import SCRATCH, FileFacts, Kept, ParsedFiles, Remembered
from value_props.ingest.lines import ContentFacts, count_lines
from value_props.ingest.read import Draft, is_proved, read_lines, read_plain, reader
from value_props.ingest.together import SmallFile, batches_of, read_together, small_file
from value_props.resources import resolve

# Seconds between two checks whether the reading must stop.
_LOOKS_SECONDS = 0.1


class Trust(Enum):
    """How far a run trusts the results of earlier runs.

    STAMPS: a file with the same size and times is unchanged, and is not read again.
    CONTENTS: every file is hashed again; parsed rows of the same content are used again.
    NOTHING: every file is hashed and parsed again.
    """

    STAMPS = "stamps"
    CONTENTS = "contents"
    NOTHING = "nothing"


@dataclass
class Reading:
    """Reads files in parallel. Each has its own cursor, and another thread hashes its bytes.

    Args:
        parsed_files: results of earlier runs; new ones are added.
        trust: how far to trust those results.
        stop: another thread sets it to end the reading.
        workers: threads that parse files.
        hashers: threads that hash files.
        scratch: folder for temporary files.
        remembered: raw files that earlier runs read, by absolute path.
        kept: contents that have a parsed file, by source and sha256.
        lock: guards `kept`, `cursors` and the parsed files.
        cursors: open cursors, which are interrupted on a stop.
    """

    parsed_files: ParsedFiles
    trust: Trust
    stop: Event
    workers: ThreadPoolExecutor
    hashers: ThreadPoolExecutor
    scratch: Path
    remembered: dict[str, Remembered]
    kept: dict[tuple[str, str], Kept]
    # Files may have equal contents, and a connection makes one cursor at a time.
    lock: Lock = field(default_factory=Lock)
    cursors: set[duckdb.DuckDBPyConnection] = field(default_factory=set)

    def all_of(self, found: list[FoundFile]) -> dict[str, RawFile]:
        """Return all files by absolute path, read now or recalled from an earlier run."""
        read = self._recall(found) if self.trust == Trust.STAMPS else {}
        new = [file for file in found if file.absolute_path not in read]
        if not new:
            return read
        # A file with a known size may have a known content, so it is hashed before it is parsed.
        sizes = {file.facts.size_bytes for file in self.remembered.values()}
        with reader() as connection:
            reading = [
                self.workers.submit(self._read_batch, connection, batch, sizes)
                for batch in batches_of(new)
            ]
            self._wait_for(reading)
            # If several fail, this raises the error of the first in the order of files.
            for one in reading:
                read.update(one.result())
        return read

    def _wait_for(self, reading: Sequence[Future[Any]]) -> None:
        """Wait until all files are read, one fails, or the run is stopped.

        No thread is reading when this returns, because the caller then closes the connection.
        """
        try:
            is_over = False
            while not is_over and not self.stop.is_set():
                done, rest = wait(reading, _LOOKS_SECONDS, FIRST_EXCEPTION)
                is_over = not rest or any(one.exception() for one in done)
        except BaseException:
            self.stop.set()
            raise
        finally:
            for one in reading:
                one.cancel()
            # Files in progress are finished and kept for the next run, unless the run must stop.
            while wait(reading, _LOOKS_SECONDS).not_done:
                if self.stop.is_set():
                    self._interrupt()

    def _interrupt(self) -> None:
        with self.lock:
            for cursor in self.cursors:
                cursor.interrupt()

    @contextmanager
    def _cursor(self, connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.lock:
            cursor = connection.cursor()
            self.cursors.add(cursor)
        try:
            yield cursor
        finally:
            with self.lock:
                self.cursors.remove(cursor)
            cursor.close()

    def _recall(self, found: list[FoundFile]) -> dict[str, RawFile]:
        """Return the files that are unchanged since an earlier run and have whole parsed files."""
        recalled = {}
        for file in found:
            before = self.remembered.get(file.absolute_path)
            if not before or before.stamp != file.stamp:
                continue
            if kept := self.kept.get((file.source_name, before.facts.content_sha256)):
                recalled[file.absolute_path] = RawFile(
                    file, before.facts, kept.facts, kept.stem, is_read=False, is_parsed_now=False
                )
        stems = {file.stem for file in recalled.values()}
        whole = dict(zip(stems, self.workers.map(self.parsed_files.is_whole, stems), strict=True))
        return {path: file for path, file in recalled.items() if whole[file.stem]}

    def _read_batch(
        self, connection: duckdb.DuckDBPyConnection, batch: list[FoundFile], known_sizes: set[int]
    ) -> dict[str, RawFile]:
        with self._cursor(connection) as cursor:
            read = self._read_small(cursor, batch) if len(batch) > 1 else {}
            for file in batch:
                if file.absolute_path not in read:
                    read[file.absolute_path] = self._read(cursor, file, known_sizes)
        return read

    def _read_small(
        self, cursor: duckdb.DuckDBPyConnection, batch: list[FoundFile]
    ) -> dict[str, RawFile]:
        """Return those of a source's small files that are kept, or that are plain."""
        read: dict[str, RawFile] = {}
        new: dict[str, tuple[SmallFile, FileFacts]] = {}
        for file in batch:
            small = small_file(file)
            if not small:
                continue
            facts = _facts(file, small.bytes_of)
            if kept := self._kept(file, facts):
                read[file.absolute_path] = kept
            elif small.rows:
                # ingest() refuses a second file with the same content.
                new.setdefault(facts.content_sha256, (small, facts))
        return read | self._read_together(cursor, list(new.values()))

    def _read_together(
        self, cursor: duckdb.DuckDBPyConnection, files: list[tuple[SmallFile, FileFacts]]
    ) -> dict[str, RawFile]:
        """Return the plain ones of these small files. If one is not plain, retry each half."""
        if len(files) < 2:
            return {}
        first = files[0][0].found
        path = self.parsed_files.draft_of(first)
        with self._scratch() as scratch, _refusing(first):
            found = read_together(cursor, [small for small, _ in files], scratch, path)
        if not found:
            middle = len(files) // 2
            return self._read_together(cursor, files[:middle]) | self._read_together(
                cursor, files[middle:]
            )
        draft, contents = found
        read = []
        for (small, facts), content in zip(files, contents, strict=True):
            small.found.check_unchanged()
            read.append((small.found, facts, content))
        return {file.found.absolute_path: file for file in self._keep(draft, read)}

    def _read(
        self, cursor: duckdb.DuckDBPyConnection, file: FoundFile, known_sizes: set[int]
    ) -> RawFile:
        path = self.parsed_files.draft_of(file)
        hashing: Future[Fingerprint] = self.hashers.submit(fingerprint, file)
        with _refusing(file):
            is_new = self.trust == Trust.NOTHING or file.size_bytes not in known_sizes
            found = read_plain(cursor, file, path) if is_new else None
            prints = hashing.result()
            facts = _facts(file, prints)
            if kept := self._kept(file, facts):
                for part in found.draft.paths if found else ():
                    part.unlink()
                return kept
            if not is_new:
                found = read_plain(cursor, file, path)
            if not found or not is_proved(file, found, prints):
                with self._scratch() as scratch:
                    lines = count_lines(file, prints.is_odd, scratch)
                    found = read_lines(cursor, file, lines, path, scratch)
        file.check_unchanged()
        [read] = self._keep(found.draft, [(file, facts, found.content)])
        return read

    def _kept(self, file: FoundFile, facts: FileFacts) -> RawFile | None:
        """Return the raw file if its content has a whole and trusted parsed file; else None."""
        if self.trust == Trust.NOTHING:
            return None
        with self.lock:
            kept = self.kept.get((file.source_name, facts.content_sha256))
            if not kept or not self.parsed_files.is_whole(kept.stem):
                return None
        return RawFile(file, facts, kept.facts, kept.stem, is_read=True, is_parsed_now=False)

    def _keep(
        self, draft: Draft, files: list[tuple[FoundFile, FileFacts, ContentFacts]]
    ) -> list[RawFile]:
        """Keep a draft with the rows of some files of one source."""
        contents = {facts.content_sha256: content for _, facts, content in files}
        self.parsed_files.describe(draft, contents)
        with self.lock:
            stem = self.parsed_files.keep(draft, list(contents))
            for file, facts, content in files:
                self.kept[file.source_name, facts.content_sha256] = Kept(stem, content)
        return [
            RawFile(file, facts, content, stem, is_read=True, is_parsed_now=True)
            for file, facts, content in files
        ]

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Context manager for a folder for temporary files of one reading."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            yield Path(folder)


@contextmanager
def opened_reading(parsed_files: ParsedFiles, trust: Trust, stop: Event) -> Iterator[Reading]:
    threads = resolve().threads
    with (
        tempfile.TemporaryDirectory(dir=parsed_files.folder, prefix=SCRATCH) as scratch,
        ThreadPoolExecutor(threads) as hashers,
        ThreadPoolExecutor(threads) as workers,
    ):
        remembered, kept = parsed_files.remembered(), parsed_files.kept()
        yield Reading(
            *(parsed_files, trust, stop, workers, hashers, Path(scratch), remembered, kept)
        )


@contextmanager
def _refusing(file: FoundFile) -> Iterator[None]:
    """Name the file if DuckDB fails. No line makes it fail, so the cause is disk or memory."""
    try:
        yield
    except duckdb.Error as error:
        # Messages must not quote raw rows, and later lines of DuckDB's message may.
        fault = str(error).partition("\n")[0]
        raise ValuePropsError(
            f"DuckDB could not read it, or keep what it read ({fault})",
            f"Raw file {file.path}",
            "See that the disk of the out path has room and that the memory limit is not too low,"
            " and run again",
        ) from error


def _facts(file: FoundFile, prints: Fingerprint) -> FileFacts:
    return FileFacts(
        size_bytes=file.size_bytes,
        modified_at=modified_at(file.path, file.modified_seconds),
        sha256=prints.sha256,
        content_sha256=prints.content_sha256,
    )
