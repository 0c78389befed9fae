"""Find the raw files: their names, what lies beside them, and what the file system says of each."""

from __future__ import annotations

import datetime
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from value_props.errors import ValuePropsError, owners_of

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
_NAMES_SHOWN = 7


@dataclass(frozen=True)
class FoundFile:
    """A raw file that is there, not yet read.

    Args:
        source_name: prints, taps or pays.
        file_number: 1-based place among the source's files, in order of code points.
        path: as the user would name it.
        absolute_path: by which it is remembered.
        stamp: size, time of modification and time of change: bytes, and nanoseconds since 1970.
    """

    source_name: str
    file_number: int
    path: Path
    absolute_path: str
    stamp: str

    @property
    def is_gzip(self) -> bool:
        """Whether the name says that it is compressed."""
        return self.path.suffix == ".gz"

    @property
    def size_bytes(self) -> int:
        """On disk."""
        return int((self.stamp or "0").split()[0])

    @property
    def modified_seconds(self) -> float:
        """Time of modification, since 1970."""
        return int((self.stamp or "0 0").split()[1]) / 1e9

    def check_unchanged(self) -> None:
        """Refuse a file that is no longer the one that was found.

        Raises:
            ValuePropsError: it changed, or is gone.
        """
        if stamp_of(self.path) != self.stamp:
            raise ValuePropsError(
                "it changed while the run was reading it",
                f"Raw file {self.path}",
                "Run again when its delivery is over",
            )


def stamp_of(path: Path) -> str:
    """Size, time of modification and time of change; empty where there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return ""
    if not stat.S_ISREG(status.st_mode):
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def modified_at(path: Path, seconds: float) -> str:
    """A time of modification as UTC, ISO 8601.

    Raises:
        ValuePropsError: it is no date.
    """
    try:
        moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValuePropsError(
            f"its time of modification is no date ({error})",
            f"Raw file {path}",
            "Set it with `touch`",
        ) from error
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


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


def find_raw_files(raw_path: Path) -> list[FoundFile]:
    """List the files of the three sources, not yet read.

    Raises:
        ValuePropsError: no folder, no file for a source, a name that is no file that can be read,
            or a file beside its own .gz.
    """
    if not raw_path.is_dir():
        is_file = raw_path.exists()
        raise ValuePropsError(
            "it is a file" if is_file else "there is no such folder",
            f"Raw path {raw_path}",
            "Name the folder that holds the file"
            if is_file
            else "Name the folder that holds the raw files, or write sample data with"
            f" `value-props sample --out {raw_path}`",
        )
    folder = raw_path.absolute()
    names = sorted(path.name for path in raw_path.iterdir())
    files = []
    for source_name in SOURCES:
        matches = [name for name in names if PATTERNS[source_name].fullmatch(name)]
        if not matches:
            ignored = ignored_names(names)
            raise ValuePropsError(
                f"no file for the source {source_name}",
                f"Raw path {raw_path}",
                f"Put one there that is named {source_name}{endings_of(source_name)}, or the same"
                " with .gz",
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
            absolute = str(folder / name)
            files.append(FoundFile(source_name, number, path, absolute, stamp_of(path)))
    return files


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
        raise unreadable(path, fault or error.strerror) from error
    if not stat.S_ISREG(mode):
        raise unreadable(path, "it is a folder" if stat.S_ISDIR(mode) else "it is no file")
    if not os.access(path, os.R_OK):
        raise unreadable(path, f"no permission: {owners_of(path)}")


def unreadable(path: Path, fault: object) -> ValuePropsError:
    """The error of a raw file that the system does not let anybody read."""
    return ValuePropsError(
        f"it cannot be read ({fault})",
        f"Raw file {path}",
        "Make it readable; or move or rename it, if it is not meant as a raw file",
    )
