"""Keep the parsed rows of each raw file, so that later runs need not read it again.

    parsed/
      <parser version>/
        inventory.json                  stamp and facts of each raw file when it was last read
        prints/<sha256>.parquet         its valid rows, named after the content; never changed.
                                        Small files share one, named after all their contents
        prints/<sha256>.rejected.parquet    lines that break a rule; absent if there are none
        prints/<sha256>.unusual.parquet     text of valid rows that the app would write otherwise;
                                            absent if there are none
        prints/<sha256>.counts.parquet  number of rows by day, value prop and quarantine reason
        prints/<sha256>.json            facts of each content; size and sha256 of the parts

A parsed file depends only on the content of its raw files and on the parser, not on parameters,
dates or other files. So any run may use it. A killed run leaves either a complete parsed file or
none. A damaged parsed file is removed, and its raw file is parsed again.
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

# Some file systems store times in whole seconds. So a file that was modified less than this
# before it was read may change again without a new stamp.
SETTLED_NANOSECONDS = 2_000_000_000
UNFINISHED = ".unfinished"
# Prefix of the name of a folder for temporary files of the reading.
SCRATCH = "scratch_"


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """Size, time and hashes of a raw file.

    Args:
        size_bytes: size on disk.
        modified_at: time of modification, UTC, ISO 8601.
        sha256: hash of the bytes on disk.
        content_sha256: hash of the bytes after gunzip.
    """

    size_bytes: int
    modified_at: str
    sha256: str
    content_sha256: str


@dataclass(frozen=True)
class Remembered:
    """State of a raw file when a run last read it.

    Args:
        stamp: see FoundFile.
        facts: its size, time and hashes.
    """

    stamp: str
    facts: FileFacts


@dataclass(frozen=True)
class Kept:
    """A content that has a parsed file.

    Args:
        stem: path of the parsed file without the endings; other contents may share it.
        facts: facts from parsing it.
    """

    stem: Path
    facts: ContentFacts


@dataclass(frozen=True)
class ParsedFiles:
    """The parsed files in a folder.

    Args:
        root: the folder, with a subfolder for each parser version.
    """

    root: Path

    @property
    def folder(self) -> Path:
        """Subfolder of the current parser version."""
        return self.root.absolute() / parser_version()

    def draft_of(self, file: FoundFile) -> Path:
        """Return the path, without endings, for parts whose content hash is not known yet."""
        return self.folder / file.source_name / f"{file.file_number}{UNFINISHED}"

    def kept(self) -> dict[tuple[str, str], Kept]:
        """Return the kept contents by source and sha256, without the check of `is_whole`."""
        found = {}
        for source_name in SOURCES:
            for path in sorted((self.folder / source_name).glob("*.json")):
                stem = _stem_of(path)
                with self._undamaged(stem):
                    for content, facts in _read_description(stem)["contents"].items():
                        found[source_name, content] = Kept(stem, ContentFacts(**facts))
        return found

    def is_whole(self, stem: Path) -> bool:
        """Return whether all parts are undamaged. If not, remove them and log a warning."""
        with self._undamaged(stem):
            for part, described in _read_description(stem)["parts"].items():
                path = part_of(stem, part)
                if not path.is_file() or _described(path) != described:
                    raise ValueError(f"{path} is not as it was written")
            return True
        return False

    @contextmanager
    def _undamaged(self, stem: Path) -> Iterator[None]:
        """Context manager that removes the parsed file if the block finds it damaged."""
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
        """Create the folders, and remove the unfinished files of a killed run."""
        for source_name in SOURCES:
            folder = self.folder / source_name
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(f"*{UNFINISHED}*"):
                leftover.unlink()
        for leftover in self.folder.glob(f"{SCRATCH}*"):
            remove_tree(leftover)

    def describe(self, draft: Draft, contents: Mapping[str, ContentFacts]) -> None:
        """Write the description of a draft, and flush both to the disk.

        Args:
            draft: a parsed file that has no final name yet.
            contents: facts about each content in it, by sha256.
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
        """Rename a described draft to its final name. The file of the rows is renamed last.

        Args:
            draft: a parsed file after `describe`.
            contents: sha256 of each content in it. The final name is the only one, or their hash.

        Returns:
            The final path, without endings.
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
        """Flush the folders, and so the names of the parsed files, to the disk."""
        for source_name in SOURCES:
            sync(self.folder / source_name)

    def remembered(self) -> dict[str, Remembered]:
        """Return the raw files that were read, by absolute path.

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
        """Save the state of the raw files for the next run.

        Files that changed shortly before `read_at` are left out, so the next run reads them again.

        Args:
            files: raw files by absolute path.
            read_at: time at which this run began to read, in nanoseconds since 1970.
        """
        settled_before = read_at - SETTLED_NANOSECONDS
        inventory = {
            path: {"stamp": file.stamp, "facts": vars(file.facts)}
            for path, file in files.items()
            if max(map(int, file.stamp.split()[1:])) < settled_before
        }
        replace_text(self.folder / "inventory.json", json.dumps(inventory, sort_keys=True))

    def prune(self, used: Iterable[str]) -> None:
        """Remove the parsed files that neither a kept run nor the next run needs.

        Args:
            used: paths of the parsed files of the kept runs, relative to the root.
        """
        contents = {file.facts.content_sha256 for file in self.remembered().values()}
        kept = {kept.stem for (_, content), kept in self.kept().items() if content in contents}
        self.keep_only({*used, *(str(stem.relative_to(self.root.absolute())) for stem in kept)})

    def keep_only(self, used: Iterable[str]) -> int:
        """Remove the parsed files that no kept run needs.

        Args:
            used: see prune.

        Returns:
            The number of removed files.
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
    """Return a hash of all that decides how a line is parsed: this folder's code, and DuckDB."""
    room = Path(__file__).parent
    digest = hashlib.sha256(duckdb.__version__.encode())
    for path in sorted((*room.glob("*.py"), *room.glob("sql/*.sql"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _stem_of(path: Path) -> Path:
    """Return the path of a part of a parsed file without its endings."""
    return path.with_name(path.name.partition(".")[0])


def _read_description(stem: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_description_of(stem).read_text(encoding="utf-8"))
    return found


def _described(path: Path) -> dict[str, Any]:
    return {"size_bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _description_of(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.json")
