"""Keep what was read of each raw file, so that it is read once.

    parsed/
      <parser version>/
        inventory.json                  what was found of each raw file when it was last read
        prints/<sha256>.parquet         its valid rows, named after the content; never changed.
                                        Small files share one, named after all their contents
        prints/<sha256>.rejected.parquet    lines that break a rule; absent where none does
        prints/<sha256>.unusual.parquet     text of valid rows that is not what an app writes
        prints/<sha256>.counts.parquet  how many rows it has by day, value prop and judgement
        prints/<sha256>.json            facts of each content; size and sha256 of the parts

A parsed file depends on the content of its raw file and on the parser, and on nothing else: no
parameter, no date, no other file. So any run may use it, and a run that is killed leaves a whole
one or none. One that is no longer as it was written is removed, and made again from its raw file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from value_props.files import remove, remove_tree, replace_text, sha256_of, sync
from value_props.ingest.find import SOURCES, FoundFile
from value_props.ingest.lines import ContentFacts
from value_props.ingest.read import PARTS, ROWS, Draft, part_of
from value_props.logs import logger

# A file that was written to within this time before it was read may be written to again
# without its stamp telling: some file systems count whole seconds.
SETTLED_NANOSECONDS = 2_000_000_000
UNFINISHED = ".unfinished"
# Begins the name of a folder for what is needed while raw files are read.
SCRATCH = "scratch_"


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


@dataclass(frozen=True)
class Remembered:
    """A raw file when it was last read.

    Args:
        stamp: see FoundFile.
        facts: what its bytes were.
    """

    stamp: str
    facts: FileFacts


@dataclass(frozen=True)
class Kept:
    """A content that is kept.

    Args:
        stem: path of its parts, without their endings; other contents may share them.
        facts: what was found in it.
    """

    stem: Path
    facts: ContentFacts


@dataclass(frozen=True)
class ParsedFiles:
    """The folder of the parsed files."""

    root: Path

    @property
    def folder(self) -> Path:
        """Those of the present parser."""
        return self.root.absolute() / parser_version()

    def draft_of(self, file: FoundFile) -> Path:
        """Where the parts of a file are written before its content is known; without endings."""
        return self.folder / file.source_name / f"{file.file_number}{UNFINISHED}"

    def kept(self) -> dict[tuple[str, str], Kept]:
        """What is kept, by source and sha256 of the content. `is_whole` has not looked at it."""
        found = {}
        for source_name in SOURCES:
            for path in sorted((self.folder / source_name).glob("*.json")):
                stem = _stem_of(path)
                with self._undamaged(stem):
                    for content, facts in _read_description(stem)["contents"].items():
                        found[source_name, content] = Kept(stem, ContentFacts(**facts))
        return found

    def is_whole(self, stem: Path) -> bool:
        """Whether the parts are as they were written; else they are removed, with a warning."""
        with self._undamaged(stem):
            for part, described in _read_description(stem)["parts"].items():
                path = part_of(stem, part)
                if not path.is_file() or _described(path) != described:
                    raise ValueError(f"{path} is not as it was written")
            return True
        return False

    @contextmanager
    def _undamaged(self, stem: Path) -> Iterator[None]:
        """Remove a parsed file that shows to be damaged."""
        try:
            yield
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            logger.warning(
                "step=ingest problem=the parsed file %s.parquet is damaged (%s); its raw file is"
                " parsed again",
                stem,
                error,
            )
            for path in (_description_of(stem), *(part_of(stem, part) for part in PARTS)):
                remove(path)

    def prepare(self) -> None:
        """Make the folders, and remove what a killed run left unfinished."""
        for source_name in SOURCES:
            folder = self.folder / source_name
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(f"*{UNFINISHED}*"):
                leftover.unlink()
        for leftover in self.folder.glob(f"{SCRATCH}*"):
            remove_tree(leftover)

    def describe(self, draft: Draft, contents: Mapping[str, ContentFacts]) -> None:
        """Bring a draft to the disk, and write beside it what it holds.

        Args:
            draft: a parsed file.
            contents: what it holds, by sha256.
        """
        for facts in contents.values():
            facts.parts = sorted(draft.parts)
        text = json.dumps(
            {
                "contents": {content: vars(facts) for content, facts in contents.items()},
                "parts": {part: _described(part_of(draft.path, part)) for part in draft.parts},
            }
        )
        description = _description_of(draft.path)
        description.write_text(text, encoding="utf-8")
        for path in (*draft.paths, description):
            path.chmod(0o444)
            sync(path)

    def keep(self, draft: Draft, contents: Sequence[str]) -> Path:
        """Give a described draft the name of its contents, the rows last.

        Returns:
            Its path, without endings.
        """
        if len(contents) == 1:
            [name] = contents
        else:
            name = hashlib.sha256("\n".join(contents).encode()).hexdigest()
        stem = draft.path.with_name(name)
        _description_of(draft.path).replace(_description_of(stem))
        for part in sorted(draft.parts, key=lambda part: part == ROWS):
            part_of(draft.path, part).replace(part_of(stem, part))
        return stem

    def sync(self) -> None:
        """Bring the names of the parsed files to the disk."""
        for source_name in SOURCES:
            sync(self.folder / source_name)

    def remembered(self) -> dict[str, Remembered]:
        """The raw files that were read, by absolute path.

        A file counts as unchanged while its stamp is the same.
        """
        path = self.folder / "inventory.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {
                name: Remembered(str(entry["stamp"]), FileFacts(**entry["facts"]))
                for name, entry in found.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            logger.warning("step=ingest problem=%s is unreadable (%s), files are read", path, error)
            return {}

    def remember(self, files: Mapping[str, Remembered], read_at: int) -> None:
        """Write down what is known of raw files, for the next run.

        Args:
            files: by absolute path.
            read_at: when this run began to read, in nanoseconds since the epoch.
        """
        settled_before = read_at - SETTLED_NANOSECONDS
        inventory = {
            path: {"stamp": file.stamp, "facts": vars(file.facts)}
            for path, file in files.items()
            if max(map(int, file.stamp.split()[1:])) < settled_before
        }
        replace_text(self.folder / "inventory.json", json.dumps(inventory, sort_keys=True))

    def prune(self, used: Iterable[str]) -> None:
        """Remove the parsed files that neither a kept run nor the next one needs.

        Args:
            used: paths relative to the root, of the kept runs.
        """
        contents = {file.facts.content_sha256 for file in self.remembered().values()}
        kept = {kept.stem for (_, content), kept in self.kept().items() if content in contents}
        self.keep_only({*used, *(str(stem.relative_to(self.root.absolute())) for stem in kept)})

    def keep_only(self, used: Iterable[str]) -> int:
        """Remove the parsed files that no kept run needs.

        Args:
            used: see prune.

        Returns:
            How many there were.
        """
        needed = {_stem_of(self.root.absolute() / path) for path in used}
        unused = [p for p in self.root.absolute().glob("*/*/*") if _stem_of(p) not in needed]
        for path in unused:
            remove(path)
        for folder in self.root.absolute().glob("*"):
            if folder != self.folder and not any(folder.glob("*/*.parquet")):
                remove_tree(folder)
        return len(unused)


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


def _read_description(stem: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_description_of(stem).read_text(encoding="utf-8"))
    return found


def _described(path: Path) -> dict[str, Any]:
    return {"size_bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _description_of(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.json")
