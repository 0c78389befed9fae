"""--json, --quiet and --log; and what scripts find in a pipe."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.harness import (
    CLEAN,
    COMMAND,
    ROOT,
    RUN_DATE,
    build,
    files_of_project,
    manifest_of,
    value_props,
)
from support.terminal import run_in_terminal

from value_props.cli.summary import command_line

TO_BUILD = ("--raw", str(CLEAN), "--run-date", RUN_DATE)


def piped(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command with pipes, where variables ask for colours."""
    colours = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "xterm-256color"}
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **colours, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_json_prints_the_manifest_and_nothing_else(tmp_path: Path) -> None:
    answer = build(tmp_path, "--json")
    assert json.loads(answer.stdout) == manifest_of(tmp_path)
    assert " INFO step=publish " in answer.stderr


def test_json_says_on_stderr_that_a_run_is_kept_back(out: Path) -> None:
    answer = build(out, "--json", "--as-of", "2020-11-22", "--allow-incomplete")
    [kept_back] = [
        path.name for path in (out / "runs").iterdir() if path != (out / "current").resolve()
    ]
    found = json.loads(answer.stdout)
    assert found["run_id"] == kept_back
    assert found == json.loads((out / "runs" / kept_back / "manifest.json").read_text("utf-8"))
    assert "The published week is newer, so it stays current." in answer.stderr


def test_backfill_prints_its_manifest_too(tmp_path: Path) -> None:
    answer = value_props(
        *("backfill", "--from", "2020-11-23", "--to", "2020-11-29"),
        *("--raw", CLEAN, "--out", tmp_path, "--json"),
        exit_code=0,
    )
    assert json.loads(answer.stdout) == manifest_of(tmp_path)


def test_quiet_prints_nothing_on_success(tmp_path: Path) -> None:
    answer = build(tmp_path / "out", "--quiet")
    assert (answer.stdout, answer.stderr) == ("", "")
    store = ("load", "--raw", CLEAN, "--to", tmp_path / "store", "--out", tmp_path / "out")
    answer = value_props(*store, "--quiet", exit_code=0)
    assert (answer.stdout, answer.stderr) == ("", "")
    assert "step=publish" in (tmp_path / "out" / "current" / "run.log").read_text("utf-8")


def test_quiet_says_that_readers_have_another_result(tmp_path: Path) -> None:
    build(tmp_path, "--quiet")
    answer = build(tmp_path, "--quiet", "--as-of", "2020-11-22")
    assert answer.stdout == ""
    kept_back = "The published week is newer, so it stays current. This run is only kept."
    assert answer.stderr.startswith(kept_back)
    assert " rollback --to 2" in answer.stderr


def test_quiet_prints_nothing_in_a_terminal_either(tmp_path: Path) -> None:
    command = [*COMMAND, "build", *TO_BUILD, "--out", str(tmp_path), "--quiet"]
    answer = run_in_terminal(command, cwd=ROOT)
    assert (answer.exit_code, answer.written) == (0, "")


def test_quiet_keeps_errors_and_exit_codes(tmp_path: Path) -> None:
    answer = value_props(
        "build", "--raw", tmp_path / "none", "--out", tmp_path / "out", "--quiet", exit_code=2
    )
    assert answer.stdout == ""
    assert "there is no such folder" in answer.text
    assert "step=" not in answer.text


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "--quiet", "--json"),
        ("build", "--json", "--quiet"),
        ("build", "--log", "--quiet"),
        ("--log", "build", "--quiet"),
        ("--debug", "build", "--quiet"),
        ("load", "--quiet", "--debug"),
    ],
)
def test_quiet_contradicts_what_asks_for_output(arguments: tuple[str, ...]) -> None:
    answer = value_props(*arguments, exit_code=2)
    assert (
        "Error: --quiet prints nothing on success, so it cannot be used with --json, --log or"
        " --debug." in answer.text
    )


def test_a_pipe_gets_the_lines_that_scripts_know(tmp_path: Path) -> None:
    answer = piped("build", *TO_BUILD, "--out", tmp_path)
    assert answer.returncode == 0
    assert answer.stdout.splitlines() == [
        "Published week 2020-W48 (2020-11-23 to 2020-11-29).",
        f"Lookback: 3 weeks, 2020-11-02 to 2020-11-22. Raw files: {CLEAN}.",
        "Rows: 1,316 read, 1,316 kept, 0 quarantined; 120 in the mart.",
        f"  {tmp_path}/final.csv",
        f"  {tmp_path}/final.parquet",
        f"  {tmp_path}/value_props.duckdb",
        f"  {tmp_path}/report.html",
        f"  {tmp_path}/manifest.json",
    ]
    lines = answer.stderr.splitlines()
    assert " INFO step=start run_id=" in lines[0]
    assert " INFO step=publish seconds=" in lines[-1]
    assert all(" INFO step=" in line for line in lines)
    assert "\x1b" not in answer.stdout + answer.stderr
    table = piped("history", "--out", tmp_path)
    assert "\nrun  " in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert "\x1b" not in table.stdout


def test_a_pipe_tells_the_rows_after_the_cut_off(tmp_path: Path) -> None:
    lines = build(tmp_path, "--as-of", "2020-11-29").stdout.splitlines()
    after = sum(row["rows_after_cut_off"] for row in manifest_of(tmp_path)["inputs"])
    [row] = [number for number, line in enumerate(lines) if line.startswith("Rows: 1,316 read")]
    assert lines[row + 1] == (
        f"  {after} of the kept rows are ignored, because they are dated after 2020-11-29."
    )


def test_each_stream_is_judged_for_itself(out: Path) -> None:
    """Progress goes to a terminal on stderr, while stdout may be read by a script."""
    command = [*COMMAND, "build", *TO_BUILD, "--out", str(out), "--json"]
    answer = run_in_terminal(command, has_stdout=False, cwd=ROOT)
    assert answer.exit_code == 0, answer.screen
    assert json.loads(answer.stdout) == manifest_of(out)
    assert "Models and tests: " in answer.written
    assert answer.screen.strip() == ""


def test_a_command_names_the_out_path_only_if_it_is_not_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["value-props"])
    assert command_line(str(tmp_path / "data" / "out"), "open") == "value-props open"
    assert command_line(str(tmp_path / "o t"), "open", "run") == "value-props open run --out 'o t'"
    monkeypatch.setenv("VALUE_PROPS_OUT", "s3://lake/out")
    assert command_line("s3://lake/out", "open") == "value-props open"
    # Make users have the command in .venv/bin only.
    program = tmp_path / ".venv" / "bin" / "value-props"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "")
    assert command_line("s3://lake/out", "open") == ".venv/bin/value-props open"


def test_rich_is_loaded_only_for_a_terminal_and_for_tables() -> None:
    """It takes a third of the time that the command line takes to load."""
    modules = "value_props.cli.program, value_props.cli.summary, value_props.run.build"
    loaded = f"import sys, {modules}, dbt.cli.main; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=False).returncode == 0
    at_load = {
        path.relative_to(ROOT).as_posix()
        for path in files_of_project("value_props/*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich")
    }
    assert at_load == {"value_props/cli/progress.py"}
