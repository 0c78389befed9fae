"""Kill code at any of its steps on the file system."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from value_props.publish.out_path import Edition

# Functions that change a name or a mode, or flush to the disk.
STEPS = [
    (Path, "chmod"),
    (Path, "mkdir"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "symlink_to"),
    (Path, "unlink"),
    (os, "fsync"),
]


class KilledError(BaseException):
    """Stands for a kill signal. No code of the project catches it."""


def names_of(edition: Edition) -> list[str]:
    """Return a file for each stable name. For a folder, it is a file in the folder."""
    below = edition.mart.replace("*", "2020-11-23")
    return [below if below.startswith(f"{name}/") else name for name in edition.stable_names]


def is_killed_at(wanted: int, action: Callable[[], None]) -> bool:
    """Run an action that is killed just before one of its steps.

    Args:
        wanted: number of the step, counted from 0.
        action: code to run.

    Returns:
        True if it was killed, False if it ended because it has fewer steps.
    """
    numbers = count()

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def stand_in(*arguments: Any, **options: Any) -> Any:
            if next(numbers) == wanted:
                raise KilledError
            return step(*arguments, **options)

        return stand_in

    with pytest.MonkeyPatch.context() as monkeypatch:
        for owner, name in STEPS:
            monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
        try:
            action()
        except KilledError:
            return True
    return False
