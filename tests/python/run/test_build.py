"""The command as a user runs it: published whole, or not at all."""

from __future__ import annotations

import datetime
import hashlib
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
from typing import Any

import duckdb
import pytest
from support.harness import CLEAN, DIRTY, ROOT, RUN_DATE, Answer, contents, value_props
from support.reference import Parameters, compute

from value_props import database
from value_props.publish.out_path import REPORT

# Where a run is stopped: a step of its log, and seconds after it. The third is amid the models.
POINTS = {"start": 0.0, "ingest": 0.0, "carry_over": 1.0, "export": 0.0}


def build(out: Path, *arguments: str | Path, raw: Path = CLEAN) -> Answer:
    return value_props("build", "--raw", raw, "--out", out, "--run-date", RUN_DATE, *arguments)


def recorded(out: Path) -> list[dict[str, Any]]:
    """What `value-props history` tells, the newest run first."""
    answer = value_props("history", "--out", out, "--json")
    assert answer.returncode == 0, answer.stderr
    runs: list[dict[str, Any]] = json.loads(answer.stdout)
    return runs


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An out folder to which the clean fixture is published; tests copy it to change it."""
    out = tmp_path_factory.mktemp("published") / "out"
    answer = build(out)
    assert answer.returncode == 0, answer.stderr
    return out


@pytest.fixture
def out(published: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "out"
    shutil.copytree(published, copy, symlinks=True)
    return copy


def test_the_published_file_opens_in_the_oldest_duckdb_that_the_readme_names(
    published: Path,
) -> None:
    with duckdb.connect(str(published / "value_props.duckdb"), read_only=True) as connection:
        [(tags,)] = connection.execute(
            "select tags from duckdb_databases() where database_name = 'value_props'"
        ).fetchall()
    oldest = tags["storage_version"].removeprefix("v").rpartition(".")[0]
    for name in ("README.md", "README.es.md"):
        assert f"DuckDB {oldest}" in (ROOT / name).read_text(encoding="utf-8")


def test_published_files_hold_the_mart_of_the_reference(published: Path) -> None:
    parameters = Parameters(run_date=datetime.date.fromisoformat(RUN_DATE))
    expected = compute(CLEAN, parameters).mart
    assert expected
    query = "select * from read_parquet(?, hive_partitioning = false)"
    assert duckdb.execute(query, [str(published / "final.parquet")]).fetchall() == expected
    csv_text = (published / "final.csv").read_bytes().decode()
    cells = [
        ",".join(str(value).lower() if isinstance(value, bool) else str(value) for value in row)
        for row in expected
    ]
    assert csv_text.split("\n")[1:] == [*cells, ""]


def test_report_prints_what_a_run_recorded(published: Path) -> None:
    [record] = (published / "quality").iterdir()
    expected = json.loads((record / "report.json").read_text(encoding="utf-8"))
    for arguments in ((), (record.name,)):
        answer = value_props("report", *arguments, "--out", published)
        assert json.loads(answer.stdout) == expected
    answer = value_props("report", "no-run", "--out", published)
    assert answer.returncode == 2
    assert "there is no report of run no-run" in answer.text


def test_published_files_are_read_only_and_described(published: Path) -> None:
    for name in REPORT.stable_names:
        assert (published / name).stat().st_mode & 0o777 == 0o444
    manifest = json.loads((published / "manifest.json").read_text(encoding="utf-8"))
    for output in manifest["outputs"]:
        assert contents(published)[output["name"]] == output["sha256"]
    for row in manifest["inputs"]:
        assert row["rows_read"] == row["rows_kept"] + row["rows_quarantined"]
        assert row["sha256"] == hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest()
    assert manifest["parameters"]["as_of_date"] == "2020-11-30"
    assert manifest["report_weeks"][0]["iso_week"] == "2020-W48"
    with duckdb.connect(str(published / "value_props.duckdb"), read_only=True) as connection:
        [(undescribed,)] = connection.execute(
            "select count(*) from duckdb_columns() where comment is null"
            " and schema_name in ('marts', 'quality')"
        ).fetchall()
    assert undescribed == 0


@pytest.mark.parametrize("view", ["stg_prints", "stg_taps", "stg_pays"])
def test_the_planner_expects_all_valid_rows(published: Path, view: str) -> None:
    """Where it expects a tenth of them, it builds its hash tables of the larger side."""
    with duckdb.connect(str(published / "value_props.duckdb"), read_only=True) as connection:
        [(count,)] = connection.execute(f"select count(*) from staging.{view}").fetchall()
        [(_, plan)] = connection.execute(
            f"explain (format json) select user_id from staging.{view}"
        ).fetchall()
    [root] = json.loads(plan)
    assert int(root["extra_info"]["Estimated Cardinality"]) == count > 20


def test_published_file_holds_the_history_up_to_its_own_run(published: Path) -> None:
    expected = compute(CLEAN, Parameters(run_date=datetime.date.fromisoformat(RUN_DATE))).mart
    with duckdb.connect(str(published / "value_props.duckdb"), read_only=True) as connection:
        runs = connection.execute("select status, as_of_date from quality.runs").fetchall()
        profiles = connection.execute(
            "select row_count, total_prior_amount, share_by_value_prop from quality.mart_profiles"
        ).fetchall()
        sources = connection.execute(
            "select source_name, rows_kept, distinct_users from quality.source_profiles"
        ).fetchall()
        [(tests,)] = connection.execute("select count(*) from quality.test_results").fetchall()
    assert runs == [("published", datetime.date(2020, 11, 30))]
    counts = Counter(row[5] for row in expected)
    shares = {name: counts[name] / len(expected) for name in sorted(counts)}
    assert profiles == [(len(expected), sum(row[11] for row in expected), shares)]
    assert sources == [("pays", 756, 100), ("prints", 509, 61), ("taps", 51, 25)]
    manifest = json.loads((published / "manifest.json").read_text(encoding="utf-8"))
    assert tests == sum(manifest["tests"].values())


def test_same_input_gives_the_same_bytes(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE_PROPS_THREADS", "1")
    assert build(tmp_path / "out").returncode == 0
    for name in ("final.csv", "final.parquet"):
        assert contents(tmp_path / "out")[name] == contents(published)[name]


def test_mart_and_export_give_the_same_bytes_with_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As dbt fills a table that has a contract: of rows in order, with the key made of them.
    fill_mart = """
        create schema marts;
        create table marts.fct_prints (
            print_id varchar, print_date date, user_id ubigint, value_prop varchar, position bigint
        );
        insert into marts.fct_prints (
            select print_id, print_date, user_id, value_prop, position from (
                select md5(concat_ws('-', print_date, user_id, value_prop, position)) as print_id, *
                from (
                    select
                        date '2020-11-23' + cast(i % 7 as integer) as print_date,
                        hash(i) % 50000 as user_id,
                        'value prop ' || i % 11 as value_prop,
                        i as position
                    from range(400000) as numbers (i)
                    order by print_date, user_id, position, value_prop
                )
            )
        )
    """
    written = set()
    for threads in (1, 2, 5):
        monkeypatch.setenv("VALUE_PROPS_THREADS", str(threads))
        folder = tmp_path / str(threads)
        folder.mkdir()
        source = tmp_path / f"{threads}.duckdb"
        with database.opened(source) as connection:
            connection.execute(fill_mart)
        database.export(source, folder)
        written.add(
            tuple(
                hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())
            )
        )
    assert len(written) == 1


def test_dirty_data_is_refused_and_the_published_files_stay(out: Path) -> None:
    before = contents(out)
    answer = build(out, raw=DIRTY)
    assert answer.returncode == 1
    assert "--max-quarantine-rate" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert contents(out) == before
    assert (out / "last_run" / "value_props.duckdb").is_file()
    assert (out / "last_run" / "run.log").is_file()
    failed, passed = recorded(out)
    assert (failed["status"], failed["exit_code"]) == ("failed", 1)
    assert failed["rows_quarantined"] > 0
    assert failed["tests_failed"] > 0
    assert passed["status"] == "published"
    assert passed["rows_in_mart"] == 120


def test_dirty_data_is_published_where_it_is_accepted(tmp_path: Path) -> None:
    answer = build(tmp_path / "out", "--max-quarantine-rate", "1", raw=DIRTY)
    assert answer.returncode == 0, answer.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    parameters = Parameters(
        run_date=datetime.date.fromisoformat(RUN_DATE), max_quarantine_rate=Decimal(1)
    )
    expected = Counter((source, rule) for source, *_, rule in compute(DIRTY, parameters).quarantine)
    assert {rule for _, rule in expected} == {
        "malformed", "missing_field", "bad_type", "out_of_range", "duplicate"
    }  # fmt: skip
    found = {
        (row["source"], rule): count
        for row in manifest["inputs"]
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
    command = [sys.executable, "-c", "from value_props.cli.program import main; main()", "build"]
    process = subprocess.Popen(
        [*command, "--raw", str(CLEAN), "--out", str(out), "--run-date", RUN_DATE],
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
        last = recorded(out)[0]
        assert (last["status"], last["problem"]) == ("failed", "The run was interrupted")
    assert value_props("verify", "--out", out).returncode == 0


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
            "from value_props.publish.lock import exclusive\n"
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
    answer = build(out)
    assert answer.returncode == 3
    assert "the-holder" in answer.stderr
    assert str(holder.pid) in answer.stderr
    holder.kill()
    holder.wait()
    assert build(out).returncode == 0


def test_an_older_week_becomes_current_only_if_asked(out: Path) -> None:
    before = contents(out)
    older = ("--as-of", "2020-11-22")
    answer = build(out, *older, "--allow-incomplete")
    assert answer.returncode == 0, answer.stderr
    assert "--make-current" in answer.stdout
    assert contents(out) == before
    assert build(out, *older, "--make-current").returncode == 0
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["report_weeks"][0][
        "iso_week"
    ] == ("2020-W47")
    first_run = sorted(path.name for path in (out / "runs").iterdir())[0]
    answer = value_props("rollback", "--out", out, "--to", first_run)
    assert answer.returncode == 0, answer.stderr
    assert contents(out) == before


def test_verify_finds_a_changed_file(out: Path) -> None:
    assert value_props("verify", "--out", out).returncode == 0
    path = (out / "final.csv").resolve()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    answer = value_props("verify", "--out", out)
    assert answer.returncode == 1
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
    answer = value_props("build", "--out", tmp_path / "out", *arguments)
    assert answer.returncode == 2
    assert word in answer.stderr
    assert "Traceback" not in answer.stderr


def test_missing_days_fail_the_gate_and_name_the_parameters(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(CLEAN, raw)
    taps = raw / "taps.json"
    kept = [
        line for line in taps.read_text(encoding="utf-8").splitlines() if '"2020-11-2' not in line
    ]
    taps.write_text(
        "\n".join(line for line in kept if '"2020-11-30"' not in line) + "\n", encoding="utf-8"
    )
    answer = build(tmp_path / "out", raw=raw)
    assert answer.returncode == 1
    assert "taps" in answer.stderr
    assert "--allow-incomplete" in answer.stderr
    assert build(tmp_path / "out", "--allow-incomplete", raw=raw).returncode == 0


def test_check_shows_the_window_and_builds_nothing(tmp_path: Path) -> None:
    answer = value_props("check", "--raw", CLEAN, "--run-date", RUN_DATE, "--json")
    assert answer.returncode == 0, answer.stderr
    tables = json.loads(answer.stdout)
    assert tables["window"][0]["last_week_start_date"] == "2020-11-23"
    assert sum(row["rows_read"] for row in tables["files"]) > 0


def test_check_prints_one_json_document_and_its_warnings_beside_it() -> None:
    late = ("--as-of", "2020-12-06", "--week-rule", "latest", "--allow-incomplete")
    answer = value_props("check", "--raw", CLEAN, "--run-date", "2020-12-06", *late, "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["window"][0]["last_week_start_date"] == "2020-11-30"
    assert "Warning: Source taps" in answer.stderr


def test_check_names_what_would_fail_a_build() -> None:
    answer = value_props("check", "--raw", DIRTY, "--run-date", RUN_DATE, "--json")
    assert answer.returncode == 1
    assert json.loads(answer.stdout)["quarantine"]
    assert "--max-quarantine-rate" in answer.stderr


def test_every_parameter_reaches_the_manifest(tmp_path: Path) -> None:
    answer = build(
        tmp_path / "out",
        *("--as-of", "2020-11-25", "--week-rule", "latest", "--report-weeks", "2"),
        *("--lookback-weeks", "2", "--lookback-anchor", "print"),
        *("--max-quarantine-rate", "0.5", "--allow-incomplete"),
    )
    assert answer.returncode == 0, answer.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    parameters = manifest["parameters"]
    assert parameters["as_of_date"] == "2020-11-25"
    assert parameters["week_rule"] == "latest"
    assert parameters["report_weeks"] == 2
    assert parameters["lookback_weeks"] == 2
    assert parameters["lookback_anchor"] == "print"
    assert Decimal(parameters["max_quarantine_rate"]) == Decimal("0.5")
    assert parameters["allow_incomplete"] is True
    days = re.findall(r'"day":"([0-9-]+)"', (CLEAN / "prints.json").read_text(encoding="utf-8"))
    [prints] = [row for row in manifest["inputs"] if row["source"] == "prints"]
    assert prints["rows_after_cut_off"] == sum(day > "2020-11-25" for day in days) > 0
    assert prints["rows_up_to_cut_off"] + prints["rows_after_cut_off"] == prints["rows_kept"]
