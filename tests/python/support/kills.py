"""Have code die at any step that it takes on the file system."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from value_props.publish.out_path import Edition

# Whatever changes a name or a mode, or waits for the disk.
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
    """Stands for a signal: nothing of the project catches it."""


def names_of(edition: Edition) -> list[str]:
    """A file for each stable name; for a folder of many files, one below it."""
    below = edition.mart.replace("*", "2020-11-23")
    return [below if below.startswith(f"{name}/") else name for name in edition.stable_names]


def is_killed_at(wanted: int, action: Callable[[], None]) -> bool:
    """Have an action die in place of its step of that number, counted from 0.

    Returns:
        Whether it did; False where it takes fewer steps.
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
