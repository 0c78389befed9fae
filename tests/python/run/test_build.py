"""The command as a user runs it: published whole, or not at all."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from support.harness import (
    CLEAN,
    COMMAND,
    DIRTY,
    ROOT,
    RUN_DATE,
    build,
    contents,
    history_of,
    manifest_of,
    value_props,
)
from support.reference import Parameters, compute

from value_props import database

# Where a run is stopped: a step of its log, and seconds after it. The third is amid the models.
POINTS = {"start": 0.0, "ingest": 0.0, "carry_over": 1.0, "export": 0.0}


def test_dirty_data_is_refused_and_the_published_files_stay(out: Path) -> None:
    before = contents(out)
    answer = build(out, raw=DIRTY, exit_code=1)
    assert (
        "17 of 529 rows are quarantined, not counting duplicates (3.21%, and 1.00%" in answer.text
    )
    assert answer.text.count("raise --max-quarantine-rate") == 1
    assert "Traceback" not in answer.stderr
    assert contents(out) == before
    assert (out / "last_run" / "value_props.duckdb").is_file()
    assert (out / "last_run" / "run.log").is_file()
    failed, passed = history_of(out)
    assert (failed["status"], failed["exit_code"]) == ("failed", 1)
    assert failed["rows_quarantined"] > 0
    assert failed["tests_failed"] > 0
    assert passed["status"] == "published"
    assert passed["rows_in_mart"] == 120


def test_dirty_data_is_published_where_it_is_accepted(tmp_path: Path) -> None:
    build(tmp_path, "--max-quarantine-rate", "1", raw=DIRTY)
    parameters = Parameters(
        run_date=datetime.date.fromisoformat(RUN_DATE), max_quarantine_rate=Decimal(1)
    )
    expected = Counter((source, rule) for source, *_, rule in compute(DIRTY, parameters).quarantine)
    assert {rule for _, rule in expected} == {
        "malformed", "missing_field", "bad_type", "out_of_range", "duplicate"
    }  # fmt: skip
    found = {
        (row["source"], rule): count
        for row in manifest_of(tmp_path)["inputs"]
        for rule, count in row["quarantined_by_reason"].items()
    }
    assert found == dict(expected)


def stopped(out: Path, number: signal.Signals, step: str, pause: float = 0.0) -> int:
    """Start a build, and send it a signal some seconds after its log tells of a step.

    Returns:
        Its exit code; negative is the signal that ended it.
    """
    log = out / ".work" / "run.log"
    log.unlink(missing_ok=True)
    process = subprocess.Popen(
        [*COMMAND, "build", f"--raw={CLEAN}", f"--out={out}", f"--run-date={RUN_DATE}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not log.exists() or f"step={step} " not in log.read_text(encoding="utf-8"):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(pause)
    process.send_signal(number)
    return process.wait(60)


def test_a_run_that_is_asked_to_stop_ends_at_once_and_is_recorded(out: Path) -> None:
    before = contents(out)
    for step, pause in POINTS.items():
        assert stopped(out, signal.SIGTERM, step, pause) == 2
        assert contents(out) == before
        assert not (out / ".work").exists()
        last = history_of(out)[0]
        assert (last["status"], last["problem"]) == ("failed", "The run was interrupted")
    value_props("verify", "--out", out, exit_code=0)


def test_a_signal_amid_a_query_is_an_interrupt() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def query() -> None:
        with database.opened(None) as connection:
            connection.execute("select max(hash(i)) from range(100000000000) as numbers (i)")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            query()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_second_run_is_told_who_holds_the_lock(out: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path\n"
            "from value_props.publish.folder_lock import exclusive\n"
            "with exclusive(Path(sys.argv[1]), 'the-holder'):\n"
            "    print('held', flush=True); time.sleep(60)",
            str(out / ".lock"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        errors="replace",
        encoding="utf-8",
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    answer = build(out, exit_code=3)
    assert "the-holder" in answer.stderr
    assert str(holder.pid) in answer.stderr
    holder.kill()
    holder.wait()
    build(out)


def test_an_older_week_becomes_current_only_if_asked(out: Path) -> None:
    before = contents(out)
    older = ("--as-of", "2020-11-22")
    assert "--make-current" in build(out, *older, "--allow-incomplete").stdout
    assert contents(out) == before
    build(out, *older, "--make-current")
    assert manifest_of(out)["report_weeks"][0]["iso_week"] == "2020-W47"
    first_run = sorted(path.name for path in (out / "runs").iterdir())[0]
    value_props("rollback", "--out", out, "--to", first_run, exit_code=0)
    assert contents(out) == before


def test_verify_finds_a_changed_file(out: Path) -> None:
    value_props("verify", "--out", out, exit_code=0)
    path = (out / "final.csv").resolve()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    answer = value_props("verify", "--out", out, exit_code=1)
    assert "final.csv" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--as-of", "2020-02-30"), "as_of_date"),
        (("--week-rule", "last"), "complete or latest"),
        (("--report-weeks", "521"), "a whole number"),
        (("--raw", "no/such/folder"), "no/such/folder"),
    ],
)
def test_what_cannot_run_is_told_in_a_paragraph(
    tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    answer = value_props("build", "--out", tmp_path / "out", *arguments, exit_code=2)
    assert word in answer.stderr
    assert "Traceback" not in answer.stderr


def test_missing_days_fail_the_gate_and_name_the_parameters(raw: Path, tmp_path: Path) -> None:
    taps = raw / "taps.json"
    lines = taps.read_text(encoding="utf-8").splitlines(keepends=True)
    taps.write_text("".join(line for line in lines if line[8:18] < "2020-11-20"), encoding="utf-8")
    answer = build(tmp_path / "out", raw=raw, exit_code=1)
    assert "taps" in answer.stderr
    assert "--allow-incomplete" in answer.stderr
    build(tmp_path / "out", "--allow-incomplete", raw=raw)


def test_check_shows_the_window_and_builds_nothing() -> None:
    answer = value_props("check", "--raw", CLEAN, "--run-date", RUN_DATE, "--json", exit_code=0)
    tables = json.loads(answer.stdout)
    assert tables["window"][0]["last_week_start_date"] == "2020-11-23"
    assert sum(row["rows_read"] for row in tables["files"]) > 0


def test_check_prints_one_json_document_and_its_warnings_beside_it() -> None:
    late = ("--as-of", "2020-12-06", "--week-rule", "latest", "--allow-incomplete")
    answer = value_props(
        "check", "--raw", CLEAN, "--run-date", "2020-12-06", *late, "--json", exit_code=0
    )
    assert json.loads(answer.stdout)["window"][0]["last_week_start_date"] == "2020-11-30"
    assert "Warning: Source taps" in answer.stderr


def test_check_names_what_would_fail_a_build() -> None:
    answer = value_props("check", "--raw", DIRTY, "--run-date", RUN_DATE, "--json", exit_code=1)
    assert json.loads(answer.stdout)["quarantine"]
    assert "--max-quarantine-rate" in answer.stderr


def test_every_parameter_reaches_the_manifest(tmp_path: Path) -> None:
    build(
        tmp_path,
        *("--as-of", "2020-11-25", "--week-rule", "latest", "--report-weeks", "2"),
        *("--lookback-weeks", "2", "--lookback-anchor", "print"),
        *("--max-quarantine-rate", "0.5", "--allow-incomplete"),
    )
    manifest = manifest_of(tmp_path)
    expected = {
        "as_of_date": "2020-11-25",
        "week_rule": "latest",
        "report_weeks": 2,
        "lookback_weeks": 2,
        "lookback_anchor": "print",
        "allow_incomplete": True,
    }
    assert expected.items() <= manifest["parameters"].items()
    assert Decimal(manifest["parameters"]["max_quarantine_rate"]) == Decimal("0.5")
    days = re.findall(r'"day":"([0-9-]+)"', (CLEAN / "prints.json").read_text(encoding="utf-8"))
    [prints] = [row for row in manifest["inputs"] if row["source"] == "prints"]
    assert prints["rows_after_cut_off"] == sum(day > "2020-11-25" for day in days) > 0
    assert prints["rows_up_to_cut_off"] + prints["rows_after_cut_off"] == prints["rows_kept"]


def test_a_week_without_prints_fails_with_the_days_that_have_some(tmp_path: Path) -> None:
    answer = build(tmp_path, "--as-of", "2019-01-06", exit_code=1)
    assert "there are prints from 2020-11-01 to 2020-11-30" in answer.text
    # To accept it would not help.
    assert "--allow-incomplete" not in answer.text
    assert answer.text.count("Have it delivered, choose a week that has data, with --as-of ") == 1
    assert "To read its report and its warnings: `" in answer.text


def test_a_week_without_prints_is_not_told_again_by_its_days(tmp_path: Path) -> None:
    two_weeks = ("--as-of", "2020-12-13", "--report-weeks", "2", "--run-date", "2020-12-14")
    answer = build(tmp_path, *two_weeks, exit_code=1)
    assert "no print in the report week of 2020-12-07;" in answer.text
    days = ", ".join(f"2020-12-{day:02}" for day in range(1, 7))
    assert f"- Source prints: no print on {days}. - Source " in answer.text


def test_missing_days_are_told_with_a_remedy_until_they_are_accepted(tmp_path: Path) -> None:
    short = tmp_path / "short"
    shutil.copytree(CLEAN, short)
    taps = short / "taps.json"
    lines = taps.read_text(encoding="utf-8").splitlines(keepends=True)
    taps.write_text("".join(line for line in lines if '"2020-11-29"' not in line), encoding="utf-8")
    fact = (
        "Source taps: no row from 2020-11-29 to the end of the report, so these days count as days"
        " without taps"
    )
    cut_off = ("--as-of", "2020-11-29")
    answer = build(tmp_path / "out", *cut_off, raw=short, exit_code=1)
    assert f"- {fact}. Have it delivered, " in answer.text
    assert "(backfill: --from and --to), or accept it with --allow-incomplete" in answer.text
    accepted = build(tmp_path / "out", *cut_off, "--allow-incomplete", raw=short).stdout
    assert f"Warning: {fact}.\n" in accepted


def test_without_raw_files_nothing_is_parsed(tmp_path: Path) -> None:
    answer = build(tmp_path / "out", raw=tmp_path / "nowhere", exit_code=2)
    assert "there is no such folder" in answer.text
    assert "step=start" in answer.stderr
    assert "step=parse" not in answer.stderr
