"""Publishing, stopped at each step that it takes on the file system."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest

from value_props.database import carry_over_snapshots, opened
from value_props.publish.out_path import BACKFILL, REPORT, Edition, OutPath

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


def publish(out: OutPath, run_id: str) -> None:
    """What a passed run does at its end, with files that say which run they are of."""
    out.prepare()
    out.sweep()
    files = out.work / "files"
    files.mkdir(parents=True)
    for name in names_of(out.edition):
        path = files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(run_id, encoding="utf-8")
    out.add_run(files, run_id)
    out.switch_to(run_id)
    out.prune()


def shown(out: OutPath) -> list[str]:
    """The runs that the stable names show, in their order; a name that shows none is left out."""
    paths = [out.root / name for name in names_of(out.edition)]
    return [path.read_text(encoding="utf-8") for path in paths if path.exists()]


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


@pytest.mark.parametrize(
    ("edition", "before"),
    [
        (REPORT, []),
        (REPORT, ["1"]),
        (REPORT, ["1", "2", "3", "4", "5"]),
        (BACKFILL, ["1", "2", "3", "4", "5"]),
    ],
)
def test_a_kill_at_any_step_shows_the_files_of_one_run(
    tmp_path: Path, edition: Edition, before: list[str]
) -> None:
    for wanted in count():
        out = OutPath(tmp_path / str(wanted), edition)
        for run_id in before:
            publish(out, run_id)
        old = before[-1:] * len(edition.stable_names)
        is_killed = is_killed_at(wanted, partial(publish, out, "8"))
        assert shown(out) in (old, ["8"] * len(edition.stable_names))
        publish(out, "9")
        assert shown(out) == ["9"] * len(edition.stable_names)
        if not is_killed:
            break
    # Links, modes, syncs and renames: publishing takes many steps.
    assert wanted > 10


def test_snapshots_come_from_the_last_file_that_is_whole(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.duckdb" for name in ("cut", "whole", "older")]
    for number, path in enumerate(files):
        with duckdb.connect(str(path)) as connection:
            connection.execute("create schema snapshots")
            connection.execute(f"create table snapshots.names as select {number} as number")
    files[0].write_bytes(files[0].read_bytes()[:5000])
    run = tmp_path / "run" / "value_props.duckdb"
    run.parent.mkdir()
    assert carry_over_snapshots([tmp_path / "gone.duckdb", *files], run) == 1
    with opened(run) as connection:
        assert connection.execute("from snapshots.names").fetchall() == [(1,)]
    assert [path.name for path in run.parent.iterdir()] == [run.name]
    assert carry_over_snapshots(files[:1], run) == 0
    assert [path.name for path in run.parent.iterdir()] == [run.name]
