"""ValuePropsError, the exception for errors that users can fix, and the exit codes."""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of `value-props`."""

    PUBLISHED = 0  # the command did what it was asked for
    GATE_FAILED = 1  # the data failed the gate, or `verify` found a changed file
    CANNOT_RUN = 2
    LOCKED = 3  # another run holds the lock
    NOT_PUBLISHED = 4  # the run passed, but its files could not be published


@dataclass
class ValuePropsError(Exception):
    """An error that the user can fix.

    Args:
        what: what is wrong: a clause that follows "<where>: ", without full stop.
        where: what the message is about: a file, a parameter, a bucket, DuckDB.
        remedy: what to do about it: a sentence without full stop.
        exit_code: exit code of the command.
        details: if several things are wrong, one or two sentences for each, without the last full
            stop.
    """

    what: str
    where: str
    remedy: str
    exit_code: ExitCode = ExitCode.CANNOT_RUN
    details: Sequence[str] = ()

    def __str__(self) -> str:
        return " ".join(self.lines())

    @property
    def fault(self) -> str:
        """Where something is wrong, and what, without full stop."""
        return f"{self.where}: {self.what}"

    def lines(self) -> list[str]:
        """Return the lines to print: what is wrong, the details, the remedy. At least one line."""
        head = f"{self.fault}."
        if not self.details:
            return [f"{head} {self.remedy}."]
        return [head, *(f"- {detail}." for detail in self.details), f"{self.remedy}."]


class RefusedError(ValuePropsError):
    """A run was not allowed to begin. It did not fail, so it is not recorded and sends no alert."""


_REMEDIES = {
    errno.ENOSPC: "Free some room on the disk, and run again",
    errno.EDQUOT: "Free some room within the quota, and run again",
    errno.EFBIG: "Raise the limit on the size of a file (`ulimit -f`), and run again",
}
_NEEDS_RIGHTS = (errno.EACCES, errno.EPERM)


def user_error_of(error: BaseException) -> ValuePropsError | None:
    """Return an error as a ValuePropsError; None for an unexpected error.

    Errors of the operating system or of DuckDB, such as a full disk, can occur anywhere, and the
    user can usually fix them.
    """
    if isinstance(error, ValuePropsError):
        return error
    if isinstance(error, OSError):
        return refused_by_system(error)
    if type(error).__module__.partition(".")[0] in ("duckdb", "_duckdb"):
        text = " ".join(str(error).split())[:600]
        return ValuePropsError(text, "DuckDB", remedy_of(text))
    return None


def is_interruption(error: BaseException | None) -> bool:
    """Return whether Ctrl-C or a signal caused an error.

    While a class is being defined, Python replaces the interruption by an error with this cause.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def remedy_of(text: str) -> str:
    """Return a remedy for an error of DuckDB or dbt: a sentence without full stop."""
    for number in _REMEDIES:
        if os.strerror(number).lower() in text.lower():
            return _REMEDIES[number]
    return "Fix the cause that the message names, and run again; --debug shows more"


def owners_of(path: Path) -> str:
    """Name the owner of a file or folder, and the user of this process, for a message."""
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
    """Return an error of the operating system as a ValuePropsError."""
    what = (error.strerror or str(error) or type(error).__name__).rstrip(".")
    remedy = "Check that it exists and can be used, and run again; --debug shows more"
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    if error.errno in _REMEDIES:
        remedy = _REMEDIES[error.errno]
    elif error.errno == errno.EROFS:
        remedy = "Name a folder that can be written"
    elif error.errno in _NEEDS_RIGHTS and path:
        what = f"{what}: {owners_of(path)}"
        remedy = "Run as its owner, or have the owner give you permission"
    return ValuePropsError(
        what[:1].lower() + what[1:], f"Path {path}" if path else "The system", remedy
    )


def _user(number: int) -> str:
    try:
        return f"'{pwd.getpwuid(number).pw_name}'"
    except KeyError:
        return str(number)


def printable(text: str) -> str:
    """Return the text with unprintable characters as escapes.

    Raw text may hold control characters that rewrite a terminal, or characters that change the
    direction of writing and hide text. Bytes of a file name that are not UTF-8 become `\\xNN`.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    # In Python, a byte of a file name that is not UTF-8 is a surrogate U+DC80 to U+DCFF.
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
