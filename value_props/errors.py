"""The one exception for what a user can cause, and the exit codes of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


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
