"""`value-props history` says what a reader of the table must know of each run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.harness import CLEAN, build, value_props

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
    shown = value_props("history", "--out", out, exit_code=0).stdout
    runs = json.loads(value_props("history", "--out", out, "--json", exit_code=0).stdout)
    assert [run["is_kept"] for run in runs] == [True, False, False]
    results = [
        line.rpartition("120")[2].strip() for line in shown.splitlines() if line.startswith("2")
    ]
    assert results[:3] == ["current", "published, files removed", "published, files removed"]
    first = f"{runs[-1]['run_id']}: raw files in {short_path(str(CLEAN))}"
    assert shown.endswith(f"\nRaw files of the last run: {other}\n{first}\n")
