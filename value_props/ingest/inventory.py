"""What a run knows about its raw files after it has read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from value_props.ingest.find import FoundFile
from value_props.ingest.keep import FileFacts
from value_props.ingest.lines import ContentFacts
from value_props.ingest.read import ROWS, part_of


@dataclass(frozen=True)
class RawFile:
    """A raw file of a run.

    Args:
        found: its place and stamp.
        facts: its size, time and hashes.
        content: facts from parsing it.
        stem: path of its parsed file without the endings; other raw files may share it.
        is_read: True if this run read the bytes, False if it used the facts of an earlier run.
        is_parsed_now: True if this run parsed the bytes, False if an earlier run did.
    """

    found: FoundFile
    facts: FileFacts
    content: ContentFacts
    stem: Path
    is_read: bool
    is_parsed_now: bool

    @property
    def parsed_path(self) -> Path:
        """Path of the Parquet file with its valid rows."""
        return part_of(self.stem, ROWS)

    def as_row(self) -> dict[str, Any]:
        """Return the file as a row of the source raw.files."""
        content = dict(vars(self.content))
        fields = content.pop("unknown_fields")
        return {
            "source_name": self.found.source_name,
            "file_number": self.found.file_number,
            "file_name": self.found.path.name,
            "file_path": str(self.found.path),
            "parsed_path": str(self.parsed_path),
            "stamp": self.found.stamp,
            "hash_source": "read" if self.is_read else "stored",
            **vars(self.facts),
            **content,
            "unknown_fields": [
                {"field_name": name, "row_count": count} for name, count in fields.items()
            ],
        }


@dataclass(frozen=True)
class Inventory:
    """The raw files of a run, ordered by source (prints, taps, pays) and file number."""

    files: list[RawFile]

    def check_unchanged(self) -> None:
        """Refuse the run if a file changed after it was found.

        Raises:
            ValuePropsError: a file changed, or is gone.
        """
        for file in self.files:
            file.found.check_unchanged()
