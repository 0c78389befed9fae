"""The one exception for what a user can cause, and the exit codes of the command line."""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """What `value-props` tells its caller."""

    PUBLISHED = 0
    GATE_FAILED = 1
    CANNOT_RUN = 2
    LOCKED = 3
    NOT_PUBLISHED = 4


@dataclass
class ValuePropsError(Exception):
    """Something went wrong that the user can mend.

    Args:
        what: what is wrong, a sentence without full stop.
        where: the file, parameter or table it concerns.
        remedy: what to do about it, a sentence without full stop.
        exit_code: what the command line exits with.
        details: where several things are wrong, each of them, a sentence or two without the
            last full stop.
    """

    what: str
    where: str
    remedy: str
    exit_code: ExitCode = ExitCode.CANNOT_RUN
    details: Sequence[str] = ()

    def __str__(self) -> str:
        return " ".join(self.lines())

    def lines(self) -> list[str]:
        """What to tell the user: what is wrong, the details, the remedy; one line at least."""
        head = f"{self.where}: {self.what}."
        if not self.details:
            return [f"{head} {self.remedy}."]
        return [head, *(f"- {detail}." for detail in self.details), f"{self.remedy}."]


class RefusedError(ValuePropsError):
    """A run may not begin there: nothing failed, so no record tells of it, and no alert."""


_REMEDIES = {
    errno.ENOSPC: "Free some room on the disk, and run again",
    errno.EDQUOT: "Free some room within the quota, and run again",
    errno.EFBIG: "Raise the limit on the size of a file (`ulimit -f`), and run again",
}
_NEEDS_RIGHTS = (errno.EACCES, errno.EPERM)


def user_error_of(error: BaseException) -> ValuePropsError | None:
    """An error as the user is told it; None for one that nobody foresaw.

    What the system or DuckDB refuses is something that the user can mend, wherever it happens.
    """
    if isinstance(error, ValuePropsError):
        return error
    if isinstance(error, OSError):
        return refused_by_system(error)
    if type(error).__module__.partition(".")[0] in ("duckdb", "_duckdb"):
        text = " ".join(str(error).split())[:600]
        return ValuePropsError(text, "DuckDB", remedy_of(text))
    return None


def remedy_of(text: str) -> str:
    """What to do about an error of DuckDB or dbt, a sentence without full stop."""
    for number in _REMEDIES:
        if os.strerror(number).lower() in text.lower():
            return _REMEDIES[number]
    return "Fix what it names, and run again; --debug shows more"


def owners_of(path: Path) -> str:
    """Whom a file or folder belongs to, and who this process is, for a message."""
    for place in (path, *path.parents):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        return f"{place} belongs to the user {_user(owner)}, and {_this_user()}"
    return _this_user()


def _this_user() -> str:
    return f"this process runs as {_user(os.geteuid())}"


def refused_by_system(error: OSError) -> ValuePropsError:
    """What the system refuses, as the user is told it."""
    what = (error.strerror or str(error) or type(error).__name__).rstrip(".")
    remedy = "See that it is there and can be used, and run again; --debug shows more"
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    if error.errno in _REMEDIES:
        remedy = _REMEDIES[error.errno]
    elif error.errno == errno.EROFS:
        remedy = "Name a folder that can be written"
    elif error.errno in _NEEDS_RIGHTS and path:
        what = f"{what}: {owners_of(path)}"
        remedy = "Run as its owner, or have the owner grant the right"
    return ValuePropsError(
        what[:1].lower() + what[1:], f"Path {path}" if path else "The system", remedy
    )


def _user(number: int) -> str:
    try:
        return f"'{pwd.getpwuid(number).pw_name}'"
    except KeyError:
        return str(number)


def printable(text: str) -> str:
    """The text with each character that is not printable as an escape.

    Control characters in raw text could rewrite what a terminal shows; others, such as those that
    turn the direction of writing, could hide it. Bytes of a file name that are not UTF-8 become
    `\\xNN`.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    # Python's stand-in for a byte that it could not decode.
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
