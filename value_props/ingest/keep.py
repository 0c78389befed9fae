"""Keep what was read of each raw file, so that it is read once.

    parsed/
      <parser version>/
        inventory.json                  what was found of each raw file when it was last read
        prints/<sha256>.parquet         its valid rows, named after the content; never changed
        prints/<sha256>.rejected.parquet    lines that break a rule; absent where none does
        prints/<sha256>.unusual.parquet     text of valid rows that is not what an app writes
        prints/<sha256>.counts.parquet  how many rows it has by day, value prop and judgement
        prints/<sha256>.json            facts of the content; size and sha256 of its parts

A parsed file depends on the content of its raw file and on the parser, and on nothing else: no
parameter, no date, no other file. So any run may use it, and a run that is killed leaves a whole
one or none. One that is no longer as it was written is removed, and made again from its raw file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from value_props.ingest.find import SOURCES, stamp_of
from value_props.ingest.read import PARTS, ROWS, ReadFile, part_of
from value_props.logs import logger
from value_props.published import remove, remove_tree, sha256_of, sync

# A file that was written to within this time before it was read may be written to again
# without its stamp telling: some file systems count whole seconds.
SETTLED_NANOSECONDS = 2_000_000_000
UNFINISHED = ".unfinished"
# Begins the name of a folder for copies of raw files that the engine can't read in place.
COPIES = "copies_"


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What the bytes of a raw file are.

    Args:
        size_bytes: on disk.
        modified_at: time of modification, UTC, ISO 8601.
        sha256: of the bytes on disk.
        content_sha256: of the bytes after gunzip.
    """

    size_bytes: int
    modified_at: str
    sha256: str
    content_sha256: str


@dataclass(frozen=True, kw_only=True)
class ContentFacts:
    """What was found in a content.

    Args:
        line_count: physical lines.
        row_count: lines that are neither blank nor a CSV header.
        header_line_number: physical, 1-based; None without a header.
        columns: of the CSV header, in its order; empty for JSON.
        unknown_fields: rows by key, or column, that no rule knows.
        distinct_users: of the valid rows.
        is_plain: whether the length proof holds; else it was read line by line.
        parts: which parts are kept of it.
    """

    line_count: int
    row_count: int
    header_line_number: int | None = None
    columns: list[str] = field(default_factory=list)
    unknown_fields: dict[str, int] = field(default_factory=dict)
    distinct_users: int = 0
    is_plain: bool = False
    parts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ParsedFiles:
    """The folder of the parsed files."""

    root: Path

    @property
    def folder(self) -> Path:
        """Those of the present parser."""
        return self.root.absolute() / parser_version()

    def path_of(self, source_name: str, content_sha256: str) -> Path:
        """Where the valid rows of a content are, or will be."""
        return self.folder / source_name / f"{content_sha256}.parquet"

    def draft_of(self, source_name: str, file_number: int) -> Path:
        """Where the parts of a file are written before its content is known; without endings."""
        return self.folder / source_name / f"{file_number}{UNFINISHED}"

    def facts_of(self, source_name: str, content_sha256: str) -> ContentFacts | None:
        """What was found in a content, if its parts are there as they were written.

        What is not as it was written is removed, with a warning.
        """
        stem = self.folder / source_name / content_sha256
        kept = [_description_of(stem), *(part_of(stem, part) for part in PARTS)]
        if not any(path.exists() for path in kept):
            return None
        try:
            written = json.loads(_description_of(stem).read_text(encoding="utf-8"))
            facts = ContentFacts(**written["facts"])
            fault = _fault_of(stem, written["parts"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            fault = f"the parsed file {stem}.parquet is damaged ({type(error).__name__})"
        if not fault:
            return facts
        logger.warning("step=ingest problem=%s; its raw file is parsed again", fault)
        for path in kept:
            remove(path)
        return None

    def prepare(self) -> None:
        """Make the folders, and remove what a killed run left unfinished."""
        for source_name in SOURCES:
            folder = self.folder / source_name
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(f"*{UNFINISHED}*"):
                leftover.unlink()
        for leftover in self.folder.glob(f"{COPIES}*"):
            remove_tree(leftover)

    def describe(self, found: ReadFile, draft: Path) -> ContentFacts:
        """Bring the drafts of a file to the disk, and write what they hold beside them.

        Args:
            found: the drafts.
            draft: their path without endings.
        """
        facts = ContentFacts(
            line_count=found.line_count,
            row_count=found.row_count,
            header_line_number=found.header_line_number,
            columns=found.columns,
            unknown_fields=found.unknown_fields,
            distinct_users=found.distinct_users,
            is_plain=found.is_plain,
            parts=sorted(found.parts),
        )
        described = {part: _described(path) for part, path in found.parts.items()}
        description = _description_of(draft)
        text = json.dumps({"facts": asdict(facts), "parts": described})
        description.write_text(text, encoding="utf-8")
        for path in (*found.parts.values(), description):
            path.chmod(0o444)
            sync(path)
        return facts

    def keep(self, source_name: str, content_sha256: str, facts: ContentFacts, draft: Path) -> None:
        """Give the described drafts of a file the names of its content, the rows last."""
        target = self.folder / source_name / content_sha256
        _description_of(draft).replace(_description_of(target))
        for part in sorted(facts.parts, key=lambda part: part == ROWS):
            part_of(draft, part).replace(part_of(target, part))

    def sync(self) -> None:
        """Bring the names of the parsed files to the disk."""
        for source_name in SOURCES:
            sync(self.folder / source_name)

    def known(self) -> dict[str, FileFacts]:
        """The facts of the raw files that are still as they were read, by absolute path.

        A file counts as unchanged while its size and its times of modification and of change
        are the same.
        """
        return {
            path: FileFacts(**entry["facts"])
            for path, entry in self._inventory().items()
            if entry["stamp"] == stamp_of(Path(path))
        }

    def known_sizes(self) -> set[int]:
        """Sizes of raw files that were read before: one of that size may be the same again."""
        return {entry["facts"]["size_bytes"] for entry in self._inventory().values()}

    def remember(
        self, facts: Mapping[str, FileFacts], stamps: Mapping[str, str], read_at: int
    ) -> None:
        """Write down the facts of raw files that were read just now.

        Args:
            facts: by absolute path.
            stamps: likewise, from before the reading.
            read_at: when the reading began, in nanoseconds since the epoch.
        """
        inventory = {
            path: entry
            for path, entry in self._inventory().items()
            if entry["stamp"] == stamp_of(Path(path))
        }
        for path, found in facts.items():
            stamp = stamps[path]
            inventory.pop(path, None)
            if max(map(int, stamp.split()[1:])) < read_at - SETTLED_NANOSECONDS:
                inventory[path] = {"stamp": stamp, "facts": asdict(found)}
        target = self.folder / "inventory.json"
        unfinished = target.with_name(target.name + UNFINISHED)
        unfinished.write_text(json.dumps(inventory, indent=1, sort_keys=True), encoding="utf-8")
        unfinished.replace(target)

    def prune(self, used: Iterable[str]) -> None:
        """Remove the parsed files that neither a kept run nor the next one needs.

        Args:
            used: paths relative to the root, of the kept runs.
        """
        needed = {_stem_of(self.root.absolute() / path) for path in used}
        contents = {entry["facts"]["content_sha256"] for entry in self._inventory().values()}
        for path in self.root.absolute().glob("*/*/*"):
            stem = _stem_of(path)
            is_known = stem.parents[1] == self.folder and stem.name in contents
            if stem not in needed and not is_known:
                remove(path)
        for folder in self.root.absolute().iterdir():
            if folder != self.folder and not any(folder.glob("*/*.parquet")):
                remove_tree(folder)

    def _inventory(self) -> dict[str, dict[str, Any]]:
        path = self.folder / "inventory.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {
                name: {"stamp": str(entry["stamp"]), "facts": asdict(FileFacts(**entry["facts"]))}
                for name, entry in found.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            logger.warning("step=ingest problem=%s is unreadable (%s), files are read", path, error)
            return {}


@cache
def parser_version() -> str:
    """A hash of all that decides what becomes of a line: the code of this room, and the engine."""
    room = Path(__file__).parent
    digest = hashlib.sha256(duckdb.__version__.encode())
    for path in sorted((*room.glob("*.py"), *room.glob("sql/*.sql"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _stem_of(path: Path) -> Path:
    """A part of a parsed file without its endings."""
    return path.with_name(path.name.partition(".")[0])


def _described(path: Path) -> dict[str, Any]:
    return {"size_bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _description_of(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.json")


def _fault_of(stem: Path, parts: Mapping[str, Any]) -> str | None:
    """What is wrong with the parts that are kept of a content."""
    for part, described in parts.items():
        path = part_of(stem, part)
        if not path.is_file() or _described(path) != described:
            return f"{path} is not as it was written"
    return None
