"""Find the raw files by name, and ask the file system for the size and times of each."""

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
# Names that look like a mistake for one of those patterns, such as another file extension.
_NEARLY = re.compile(
    r"(prints?|taps?|pays?|payments?)([^a-z].*)?"
    r"|.*(prints|taps|pays|payments).*\.(json|jsonl|ndjson|csv)(\.\w+)?",
    re.DOTALL,
)
_NAMES_SHOWN = 7


@dataclass(frozen=True)
class FoundFile:
    """A raw file that exists and is not read yet.

    Args:
        source_name: prints, taps or pays.
        file_number: 1-based position among the source's files, in order of code points.
        path: the raw path as the user wrote it, and the file name.
        absolute_path: identifies the file in later runs.
        stamp: size in bytes, then the times of modification and of change (mtime and ctime) in
            nanoseconds since 1970.
    """

    source_name: str
    file_number: int
    path: Path
    absolute_path: str
    stamp: str

    @property
    def is_gzip(self) -> bool:
        """Whether the name ends in .gz."""
        return self.path.suffix == ".gz"

    @property
    def size_bytes(self) -> int:
        """Size on disk."""
        return int((self.stamp or "0").split()[0])

    @property
    def modified_seconds(self) -> float:
        """Time of modification, in seconds since 1970."""
        return int((self.stamp or "0 0").split()[1]) / 1e9

    def check_unchanged(self) -> None:
        """Refuse the file if its stamp is no longer the same.

        Raises:
            ValuePropsError: the file changed, or is gone.
        """
        if stamp_of(self.path) != self.stamp:
            raise ValuePropsError(
                "it changed while the run was reading it",
                f"Raw file {self.path}",
                "Run again when its delivery is over",
            )


def stamp_of(path: Path) -> str:
    """Return the stamp of a file, see FoundFile; empty if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return ""
    if not stat.S_ISREG(status.st_mode):
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def modified_at(path: Path, seconds: float) -> str:
    """Return a time of modification as an ISO 8601 text in UTC.

    Args:
        path: the raw file, for the message.
        seconds: since 1970.

    Raises:
        ValuePropsError: the time is not a valid date.
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
    """Return whether a file with this name belongs to a source."""
    return any(pattern.fullmatch(name) for pattern in PATTERNS.values())


def endings_of(source_name: str) -> str:
    """Return the allowed endings of a source's file names, as words for a message."""
    return "*.csv" if source_name == "pays" else "*.json, *.jsonl or *.ndjson"


def ignored_names(names: Iterable[str]) -> list[str]:
    """Return the ignored names that look like names of raw files, sorted."""
    return sorted(
        name
        for name in names
        if not is_raw_file(name)
        and not name.startswith(".")
        and (is_raw_file(name.lower()) or _NEARLY.fullmatch(name.lower().strip()))
    )


def ignored_sentence(names: Sequence[str]) -> str:
    """Return the warning about ignored names."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (
        f"Ignored in the raw path: {shown}{more}. Raw files are named prints* or taps* with the"
        " ending .json, .jsonl or .ndjson, and pays* with .csv, in lower case, perhaps with .gz"
    )


def find_raw_files(raw_path: Path) -> list[FoundFile]:
    """List the files of the three sources without reading them.

    Raises:
        ValuePropsError: the folder does not exist, a source has no file, a matching name is not a
            readable file, or a file lies beside its own .gz.
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
    """Refuse a matching name that is not a readable file. Ignoring it would lose its rows."""
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
    """Return the error for a raw file that cannot be read."""
    return ValuePropsError(
        f"it cannot be read ({fault})",
        f"Raw file {path}",
        "Make it readable; or move or rename it, if it is not meant as a raw file",
    )
