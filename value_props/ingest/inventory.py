"""What a run knows of its raw files once they are read."""

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
        found: where it is.
        facts: what its bytes are.
        content: what is in it.
        stem: path of its parts, without their endings; other files may share them.
        is_read: whether this run read the bytes, and not an earlier one.
        is_parsed_now: whether this run parsed them.
    """

    found: FoundFile
    facts: FileFacts
    content: ContentFacts
    stem: Path
    is_read: bool
    is_parsed_now: bool

    @property
    def parsed_path(self) -> Path:
        """Where its valid rows are kept."""
        return part_of(self.stem, ROWS)

    def as_row(self) -> dict[str, Any]:
        """The file as a row of the source raw.files."""
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
    """The raw files of a run, by source and in their order."""

    files: list[RawFile]

    def check_unchanged(self) -> None:
        """Refuse files that are no longer those that were read.

        Raises:
            ValuePropsError: a file changed, or is gone.
        """
        for file in self.files:
            file.found.check_unchanged()
