"""The parsed files: what the engine made of each raw file, kept so that it is read once.

    parsed/
      <parser version>/
        inventory.json             what was found of each raw file when it was last read
        prints/<sha256>.parquet    its rows, named after the content; never changed
        prints/<sha256>.parquet.counts    how many it has by day, value prop and judgement
        prints/<sha256>.parquet.hashes    size and sha256 of both

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

from value_props.errors import ValuePropsError
from value_props.logs import logger
from value_props.project import find_project
from value_props.published import remove, remove_tree, sha256_of, sync

# Of the project and of this package: what decides what becomes of a line.
PARSER_MACROS = "macros/raw/*.sql"
PARSER_MODULE = "raw_files.py"
# A file that was written to within this time before it was read may be written to again
# without its stamp telling: some file systems count whole seconds.
SETTLED_NANOSECONDS = 2_000_000_000
UNFINISHED = ".unfinished"
COUNTS = ".counts"
HASHES = ".hashes"


@dataclass(kw_only=True)
class Facts:
    """What was found of a raw file when its bytes were read.

    Args:
        size_bytes: on disk.
        modified_at: time of modification, UTC, ISO 8601.
        sha256: of the bytes on disk.
        content_sha256: of the bytes after gunzip.
        line_count: physical lines.
        row_count: lines that are neither blank nor a CSV header.
        header_line_number: physical, 1-based; None without a header.
        header_text: that line as the engine reads it; None where it reads none.
        columns: of the CSV header, in its order; empty for JSON.
    """

    size_bytes: int = 0
    modified_at: str = ""
    sha256: str = ""
    content_sha256: str = ""
    line_count: int = 0
    row_count: int = 0
    header_line_number: int | None = None
    header_text: str | None = None
    columns: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ParsedFiles:
    """The folder of the parsed files."""

    root: Path

    @property
    def folder(self) -> Path:
        """Those of the present parser."""
        return self.root.absolute() / parser_version()

    def path_of(self, source_name: str, content_sha256: str) -> Path:
        """Where the rows of a raw file are, or will be."""
        return self.folder / source_name / f"{content_sha256}.parquet"

    def holds(self, source_name: str, content_sha256: str) -> bool:
        """Whether the rows of a raw file are there, as they were written.

        What is not as it was written is removed, with a warning.
        """
        path = self.path_of(source_name, content_sha256)
        if not any(part.exists() for part in _parts_of(path)):
            return False
        fault = _fault_of(path)
        if fault:
            logger.warning("step=inspect problem=%s; its raw file is parsed again", fault)
            for part in _parts_of(path):
                remove(part)
        return not fault

    def prepare(self) -> None:
        """Make the folders, and remove what a killed run left unfinished."""
        for source_name in ("prints", "taps", "pays"):
            folder = self.folder / source_name
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(f"*{UNFINISHED}*"):
                leftover.unlink()

    def known(self) -> dict[str, Facts]:
        """The facts of the raw files that are still as they were read, by absolute path.

        A file counts as unchanged while its size and its times of modification and of change
        are the same.
        """
        return {path: Facts(**entry["facts"]) for path, entry in self._unchanged().items()}

    def remember(self, facts: Mapping[str, Facts], stamps: Mapping[str, str], read_at: int) -> None:
        """Keep the facts of raw files that were read just now.

        Args:
            facts: by absolute path.
            stamps: likewise, from before the reading.
            read_at: when the reading began, in nanoseconds since the epoch.
        """
        inventory = self._unchanged()
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
        needed = {self.root.absolute() / path for path in used}
        contents = {entry["facts"]["content_sha256"] for entry in self._inventory().values()}
        for path in self.root.absolute().glob("*/*/*.parquet"):
            is_known = path.parents[1] == self.folder and path.stem in contents
            if path not in needed and not is_known:
                for part in _parts_of(path):
                    part.unlink(missing_ok=True)
        for folder in self.root.absolute().iterdir():
            if folder != self.folder and not any(folder.glob("*/*.parquet")):
                remove_tree(folder)

    def _unchanged(self) -> dict[str, dict[str, Any]]:
        return {
            path: entry
            for path, entry in self._inventory().items()
            if entry["stamp"] == stamp_of(Path(path))
        }

    def _inventory(self) -> dict[str, dict[str, Any]]:
        path = self.folder / "inventory.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {
                name: {"stamp": str(entry["stamp"]), "facts": asdict(Facts(**entry["facts"]))}
                for name, entry in found.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            logger.warning(
                "step=inspect problem=%s is unreadable (%s), files are read", path, error
            )
            return {}


@cache
def parser_version() -> str:
    """A hash of all that decides what becomes of a line: the parser's code, and the engine."""
    project = find_project()
    macros = sorted(project.glob(PARSER_MACROS))
    if not macros:
        raise ValuePropsError(
            f"it has no {PARSER_MACROS}, which parses raw files",
            f"Project {project}",
            "Check out the project anew",
        )
    digest = hashlib.sha256(duckdb.__version__.encode())
    for path in (*macros, Path(__file__).with_name(PARSER_MODULE)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def keep(draft: str, name: str, raw_path: str, stamp: str) -> bool:
    """Give a parsed file its name once it is whole and on the disk; remove its other drafts.

    Args:
        draft: the file to keep.
        name: what it will be called.
        raw_path: the raw file that it was parsed from.
        stamp: of that file when its content was hashed.

    Raises:
        ValuePropsError: the raw file changed since, so the name would not tell what is in it.
    """
    source, target = Path(draft), Path(name)
    if stamp_of(Path(raw_path)) != stamp:
        raise changed(raw_path)
    _, counts, hashes = _parts_of(target)
    drafts = {
        counts.with_name(f"{counts.name}{UNFINISHED}"): counts,
        hashes.with_name(f"{hashes.name}{UNFINISHED}"): hashes,
        source: target,
    }
    counts_draft, hashes_draft, _ = drafts
    described = {target.name: _described(source), counts.name: _described(counts_draft)}
    hashes_draft.write_text(json.dumps(described), encoding="utf-8")
    # The rows last: where there are rows, there is all that belongs to them.
    for finished, kept in drafts.items():
        finished.chmod(0o444)
        sync(finished)
        finished.replace(kept)
        sync(kept.parent)
    for leftover in target.parent.glob(f"{target.name}{UNFINISHED}*"):
        leftover.unlink()
    return True


def _parts_of(path: Path) -> tuple[Path, Path, Path]:
    """The files that are kept of one raw file: rows, counts, and the hashes of both."""
    return path, path.with_name(f"{path.name}{COUNTS}"), path.with_name(f"{path.name}{HASHES}")


def _described(path: Path) -> dict[str, Any]:
    return {"size_bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _fault_of(path: Path) -> str | None:
    """What is wrong with the rows that are kept of a raw file, or with what belongs to them."""
    rows, counts, hashes = _parts_of(path)
    try:
        written = json.loads(hashes.read_text(encoding="utf-8"))
        for part in (rows, counts):
            if _described(part) != written[part.name]:
                return f"{part} is not as it was written"
    except (OSError, ValueError, TypeError, KeyError) as error:
        return f"the parsed file {rows} is damaged ({type(error).__name__})"
    return None


def changed(raw_path: str) -> ValuePropsError:
    """The error that a raw file is no longer the one that was hashed."""
    return ValuePropsError(
        "it changed while the run was reading it",
        f"Raw file {raw_path}",
        "Run again when its delivery is over",
    )


def stamp_of(path: Path) -> str:
    """Size, time of modification and time of change; empty where there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
