"""`history` and `rollback` say what their reader must know next."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from support.harness import CLEAN, DIRTY, build, history_of, value_props

from value_props.cli.console import short_path
from value_props.publish import out_path


def test_history_tells_other_raw_files_and_removed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_path, "RUNS_KEPT", 1)
    out, other = tmp_path / "out", tmp_path / "other"
    shutil.copytree(CLEAN, other)
    build(out)
    build(out, "--make-current", raw=other)
    build(out, raw=other)
    build(out, "--as-of", "2020-11-22", raw=other)
    shown = value_props("history", "--out", out, exit_code=0).stdout
    assert [run["is_kept"] for run in history_of(out)] == [True, True, False, False]
    table = [line.rstrip() for line in shown.splitlines() if line.startswith("2")]
    cells = [line.split(maxsplit=7)[3:] for line in table]
    assert cells[0][-1] == "kept back, 1 test warned"
    assert cells[1:] == [
        ["1", "1,316", "0", "120", "current"],
        ["1", "1,316", "0", "120", "was current, files removed"],
        ["2", "1,316", "0", "120", "was current, files removed"],
    ]
    assert shown.endswith(f"\nRaw files 1: {other}\nRaw files 2: {short_path(str(CLEAN))}\n")


def test_history_tells_the_first_sentence_of_a_problem(tmp_path: Path) -> None:
    build(tmp_path, "--as-of", "2020-12-13", raw=DIRTY, exit_code=1)
    shown = value_props("history", "--out", tmp_path, exit_code=0).stdout.splitlines()
    [run] = history_of(tmp_path)
    assert "; Source " in run["problem"]
    assert shown[-3] == f"Raw files: {short_path(str(DIRTY))}"
    assert run["problem"].startswith(shown[-2].removeprefix(f"{run['run_id']}: ") + "; ")
    assert shown[-1].startswith("All that was wrong with a run: `")


def test_a_rollback_says_how_to_undo_it(tmp_path: Path) -> None:
    build(tmp_path)
    build(tmp_path)
    newer, older = (run["run_id"] for run in history_of(tmp_path))
    there = value_props("rollback", "--out", tmp_path, exit_code=0).stdout.splitlines()
    assert there[0] == f"Run {older} is current: week 2020-W48 (2020-11-23 to 2020-11-29)."
    undo = ["rollback", "--to", newer, "--out", str(tmp_path)]
    assert shlex.split(there[1].partition(": ")[2])[1:] == undo
    back = value_props(*undo, exit_code=0).stdout.splitlines()
    assert back[0].startswith(f"Run {newer} is current: ")
    assert f" --to {older} " in back[1]
    assert len(value_props(*undo, exit_code=0).stdout.splitlines()) == 1
