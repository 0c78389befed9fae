"""Publishing, stopped at each step that it takes on the file system."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path

import duckdb
import pytest
from support.kills import is_killed_at, names_of

from value_props.database import carry_over_snapshots, opened
from value_props.publish.out_path import BACKFILL, REPORT, Edition, OutPath


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
