"""The one exception for what a user can cause, and the exit codes of the command line."""

from __future__ import annotations

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
    """

    what: str
    where: str
    remedy: str
    exit_code: ExitCode = ExitCode.CANNOT_RUN

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.remedy}."
