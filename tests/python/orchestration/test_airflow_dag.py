"""The DAG: its shape, and what a real Airflow on PostgreSQL makes of it."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from playwright.sync_api import Browser
from support.airflow import (
    BIN,
    FOLDER,
    MAIL_TO,
    Airflow,
    command,
    needs_airflow,
    running_airflow,
    wait_for,
)
from support.harness import contents, value_props

from value_props.parameters import PARAMETERS

WEEK = datetime.timedelta(days=7)
SHAPE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
shown = {"errors": list(bag.import_errors.values()), "dags": sorted(bag.dags)}
for dag in bag.dags.values():
    build = dag.get_task("build")
    shown |= {
        "cron": getattr(dag.timetable, "expression", None),
        "timetable": type(dag.timetable).__name__,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "params": {name: param.value for name, param in dag.params.items()},
        "schemas": {name: param.schema for name, param in dag.params.items()},
        "pool": build.pool,
        "retries": {task.task_id: task.retries for task in dag.tasks},
        "delay": build.retry_delay.total_seconds(),
        "backoff": build.retry_exponential_backoff,
        "timeout": build.execution_timeout.total_seconds(),
        "told": sorted(task.task_id for task in dag.tasks if task.on_failure_callback),
        "rules": {task.task_id: task.trigger_rule.value for task in dag.tasks},
        "upstream": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
        "outlets": {
            task.task_id: [(asset.name, asset.uri) for asset in task.outlets]
            for task in dag.tasks
            if task.outlets
        },
    }
print("SHAPE" + json.dumps(shown))
"""


def shape(home: Path, **environ: str) -> dict[str, Any]:
    needs_airflow()
    answer = subprocess.run(
        [BIN / "python", "-c", SHAPE, FOLDER / "dags"],
        env={"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(home), **environ},
        capture_output=True,
        errors="replace",
        check=False,
        encoding="utf-8",
    )
    [line] = [line for line in answer.stdout.splitlines() if line.startswith("SHAPE")] or [""]
    assert line, answer.stderr
    found: dict[str, Any] = json.loads(line.removeprefix("SHAPE"))
    assert found["errors"] == []
    return found


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return shape(tmp_path_factory.mktemp("home"), VALUE_PROPS_OUT="s3://bucket/value_props/")


def test_the_dag_runs_on_mondays_one_at_a_time(weekly: dict[str, Any]) -> None:
    assert weekly["dags"] == ["value_props"]
    assert (weekly["timetable"], weekly["cron"]) == ("CronTriggerTimetable", "0 6 * * 1")
    assert weekly["catchup"] is False
    assert weekly["max_active_runs"] == 1
    assert weekly["pool"] == "value_props"


def test_only_the_build_is_tried_again_and_told(weekly: dict[str, Any]) -> None:
    assert {name: count for name, count in weekly["retries"].items() if count} == {"build": 3}
    assert (weekly["delay"], weekly["backoff"], weekly["timeout"]) == (1800, 2, 21600)
    assert weekly["told"] == ["build"]
    assert (weekly["rules"]["models"], weekly["rules"]["tests"]) == ("all_done", "all_done")


def test_the_dag_shows_models_and_tests_and_updates_one_asset(weekly: dict[str, Any]) -> None:
    assert weekly["upstream"] == {
        "build": [],
        "models": ["build"],
        "tests": ["build"],
        "model": ["models"],
        "test": ["tests"],
        "final_parquet": ["build"],
    }
    [uri] = weekly["outlets"].pop("final_parquet")
    assert uri == ["value_props", "s3://bucket/value_props/final.parquet"]
    assert weekly["outlets"] == {}


def test_the_parameters_of_the_dag_are_those_of_the_job(weekly: dict[str, Any]) -> None:
    shown = weekly["params"]
    places = {"raw": "data/raw", "out": "s3://bucket/value_props/", "make_current": False}
    assert {name: shown.pop(name) for name in places} == places
    assert set(shown) == {parameter.name for parameter in PARAMETERS}
    for parameter in PARAMETERS:
        value = shown[parameter.name]
        text = str(value).lower() if isinstance(value, bool) else str(value)
        assert text == parameter.default


def test_the_form_of_the_dag_allows_what_the_job_allows(weekly: dict[str, Any]) -> None:
    for parameter in PARAMETERS:
        schema = weekly["schemas"][parameter.name]
        bounds = {name: schema[name] for name in ("minimum", "maximum") if name in schema}
        assert all(
            parameter.accepts(str(text)) for text in [*bounds.values(), *schema.get("enum", ())]
        )
        if bounds:
            assert not parameter.accepts(str(bounds["minimum"] - 1))
            assert not parameter.accepts(str(bounds["maximum"] + 1))
        if "enum" in schema:
            assert all(text in parameter.allowed.split() for text in schema["enum"])
            assert len(schema["enum"]) == len(parameter.allowed.split(" or "))
    limited = {
        name for name, schema in weekly["schemas"].items() if {"minimum", "enum"} & {*schema}
    }
    assert len(limited) == 5


@pytest.mark.parametrize(("schedule", "cron"), [("quick", "*/5 * * * *"), ("none", None)])
def test_other_schedules(schedule: str, cron: str | None, tmp_path: Path) -> None:
    assert shape(tmp_path, VALUE_PROPS_SCHEDULE=schedule)["cron"] == cron


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    needs_airflow()
    with running_airflow(tmp_path_factory.mktemp("airflow")) as running:
        yield running


@pytest.fixture(scope="module")
def scheduled(airflow: Airflow) -> dict[str, Any]:
    return airflow.ended("scheduled")


def test_only_its_user_reads_the_password(airflow: Airflow) -> None:
    home = Path(airflow.environ["AIRFLOW_HOME"])
    path = home / "simple_auth_manager_passwords.json.generated"
    assert path.stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o077 == 0
    answer = requests.post(
        f"{airflow.url}/auth/token", json={"username": "admin", "password": "admin"}, timeout=30
    )
    assert answer.status_code == 401
    assert requests.get(f"{airflow.url}/api/v2/dags", timeout=30).status_code == 401


def test_the_scheduled_run_publishes_what_the_command_does(
    airflow: Airflow, scheduled: dict[str, Any], tmp_path: Path
) -> None:
    assert scheduled["state"] == "success"
    assert scheduled["logical_date"].startswith(
        f"{airflow.sunday + datetime.timedelta(days=1)}T06:00:00"
    )
    by_hand = value_props(
        "build", "--raw", airflow.raw, "--out", tmp_path / "out", "--as-of", str(airflow.sunday)
    )
    assert by_hand.returncode == 0, by_hand.stderr
    # Others may read what is published, though Airflow's own files are its user's.
    umask = os.umask(0)
    os.umask(umask)
    assert (airflow.out / "runs").stat().st_mode & 0o777 == 0o777 & ~umask
    final = (airflow.out / "final.csv").read_bytes()
    assert final == (tmp_path / "out" / "final.csv").read_bytes()
    assert final.count(b"\n") > 100
    [event] = airflow.asset_events()
    assert event["name"] == "value_props"
    assert event["uri"] == (airflow.out / "final.parquet").as_uri()
    assert event["extra"]["run_id"] == (airflow.out / "current").readlink().name


def test_each_model_and_test_of_the_run_is_a_task(
    airflow: Airflow, scheduled: dict[str, Any]
) -> None:
    run_id = (airflow.out / "current").readlink().name
    report = json.loads(
        (airflow.out / "quality" / run_id / "report.json").read_text(encoding="utf-8")
    )
    models = [item["name"] for item in report["datasets"] if item["kind"] != "source"]
    states = airflow.states(scheduled)
    assert states["model"] == Counter(success=len(models))
    assert states["test"] == Counter(success=sum(report["tests"].values()))
    named = {
        task_id: [t for t in airflow.tasks(scheduled) if t["task_id"] == task_id]
        for task_id in ("model", "test")
    }
    assert sorted(t["rendered_map_index"] for t in named["model"]) == sorted(models)
    [mart] = [t for t in named["model"] if t["rendered_map_index"] == "fct_prints"]
    assert f"Rows: {report['rows_in_mart']}" in airflow.log(scheduled, "model", mart["map_index"])


@pytest.fixture(scope="module")
def older(airflow: Airflow, scheduled: dict[str, Any]) -> dict[str, Any]:
    """A manual run and a backfill of past weeks, at the same time."""
    before = contents(airflow.out)
    monday = airflow.sunday + datetime.timedelta(days=1) - WEEK
    manual = airflow.trigger(as_of_date=str(airflow.sunday - 2 * WEEK), report_weeks=1)
    span = ["--from-date", f"{monday}T00:00:00", "--to-date", f"{monday}T23:00:00"]
    command(airflow.environ, "backfill", "create", "--dag-id", "value_props", *span)
    runs = {"manual": airflow.ended("manual", manual), "backfill": airflow.ended("backfill")}
    return {**runs, "before": before}


@pytest.mark.parametrize(("run_type", "weeks"), [("backfill", 1), ("manual", 2)])
def test_a_run_of_a_past_week_is_kept_and_replaces_nothing(
    airflow: Airflow, older: dict[str, Any], run_type: str, weeks: int
) -> None:
    run = older[run_type]
    assert run["state"] == "success"
    assert airflow.states(run)["final_parquet"] == Counter(skipped=1)
    assert contents(airflow.out) == older["before"]
    assert len(airflow.asset_events()) == 1
    ends = [
        json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["parameters"][
            "as_of_date"
        ]
        for folder in (airflow.out / "runs").iterdir()
    ]
    assert str(airflow.sunday - weeks * WEEK) in ends


def test_nobody_is_told_of_a_run_that_passed(airflow: Airflow, older: dict[str, Any]) -> None:
    assert older["manual"]["state"] == "success"
    assert (airflow.slack.requests, airflow.mails) == ([], [])


@pytest.fixture(scope="module")
def failed(airflow: Airflow, older: dict[str, Any]) -> dict[str, Any]:
    """A run as of a Sunday to which no data came."""
    assert older["manual"]["state"] == "success"
    return airflow.ended("manual", airflow.trigger(as_of_date=str(airflow.sunday + WEEK)))


def test_a_failed_gate_is_tried_again_and_told_once(
    airflow: Airflow, failed: dict[str, Any], older: dict[str, Any]
) -> None:
    assert failed["state"] == "failed"
    [build] = [t for t in airflow.tasks(failed) if t["task_id"] == "build"]
    assert (build["state"], build["try_number"]) == ("failed", 2)
    assert contents(airflow.out) == older["before"]
    # Those of Airflow's connections, and those of the command.
    wait_for(lambda: airflow.logged("Alerts sent: 4."), 60, "alert")
    assert len(airflow.slack.requests) == 3
    told = {path: json.loads(body) for _, path, body in airflow.slack.requests}
    post = told["/chat.postMessage"]
    assert post["channel"] == "#some"
    [message] = post["attachments"]
    mails = {recipient: mail for recipients, mail in airflow.mails for recipient in recipients}
    assert (len(airflow.mails), sorted(mails)) == (2, sorted(MAIL_TO))
    title = "value-props failed: the data failed the gate (exit 1)"
    assert all(f"Subject: {title}" in mail for mail in mails.values())
    assert {told["/apprise"]["title"], message["title"]} == {title}
    run_id = max(path.name for path in (airflow.out / "quality").iterdir())
    for text in (told["/apprise"]["message"], message["text"], told["/job"]["text"]):
        for part in (
            "no print on",
            f"Run {run_id}: failed",
            f"Airflow: {failed['dag_run_id']}, try 2",
            f"Log: {airflow.url}/dags/",
            f"Report: {airflow.out}/last_run/report.html",
        ):
            assert part in text
    assert not airflow.logged("xoxb-secret")


def test_the_tasks_show_which_test_failed(airflow: Airflow, failed: dict[str, Any]) -> None:
    states = airflow.states(failed)
    assert states["test"]["failed"] >= 1
    assert states["final_parquet"] == Counter(upstream_failed=1)
    bad = [t for t in airflow.tasks(failed) if t["task_id"] == "test" and t["state"] == "failed"]
    names = {t["rendered_map_index"] for t in bad}
    assert names == {"assert_report_days_have_prints", "assert_sources_reach_the_report_end"}
    log = airflow.log(failed, "test", bad[0]["map_index"])
    assert f"`from test_failures.{bad[0]['rendered_map_index']}`" in log
    assert f"{airflow.out}/last_run/value_props.duckdb" in log


def test_the_grid_shows_the_runs(
    airflow: Airflow, failed: dict[str, Any], browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    remote: list[str] = []
    page.on("request", lambda request: remote.append(request.url))
    page.goto(airflow.url)
    page.get_by_label("Username").fill("admin")
    page.locator("input[type=password]").fill(airflow.password)
    page.locator("button[type=submit]").click()
    page.wait_for_url(re.compile("^(?!.*login)"), timeout=60_000)
    page.goto(f"{airflow.url}/dags/value_props/runs/{failed['dag_run_id']}")
    for task_id in ("build", "models", "final_parquet"):
        page.get_by_text(task_id).first.wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=tmp_path / "grid.png")
    assert [url for url in remote if not url.startswith((airflow.url, "data:", "blob:"))] == []


def test_what_another_try_cannot_mend_is_told_at_once(
    airflow: Airflow, failed: dict[str, Any], older: dict[str, Any]
) -> None:
    airflow.slack.requests.clear()
    airflow.mails.clear()
    run = airflow.ended("manual", airflow.trigger(raw=str(airflow.raw / "none")))
    [build] = [t for t in airflow.tasks(run) if t["task_id"] == "build"]
    assert (build["state"], build["try_number"]) == ("failed", 1)
    wait_for(lambda: len(airflow.slack.requests) >= 3 and len(airflow.mails) >= 2, 60, "alert")
    assert (len(airflow.slack.requests), len(airflow.mails)) == (3, 2)
    [text] = [
        json.loads(body)["text"] for _, path, body in airflow.slack.requests if path == "/job"
    ]
    assert text.startswith("value-props failed: it cannot run (exit 2)")
    assert "there is no such folder" in text
    assert contents(airflow.out) == older["before"]


def test_a_build_that_is_stopped_by_hand_ends_and_harms_nothing(
    airflow: Airflow, failed: dict[str, Any], older: dict[str, Any]
) -> None:
    run_id = airflow.trigger(as_of_date=str(airflow.sunday))
    begun = airflow.out / ".work" / "begun.json"
    wait_for(begun.exists, 180, "build")
    stopped = json.loads(begun.read_text(encoding="utf-8"))["run_id"]
    [process] = [p for p in psutil.process_iter() if _is_build_to(airflow.out, p)]
    path = f"/dags/value_props/dagRuns/{run_id}/taskInstances/build"
    airflow.call("PATCH", path, new_state="failed")
    process.wait(60)
    assert airflow.ended("manual", run_id)["state"] == "failed"
    assert contents(airflow.out) == older["before"]
    answer = value_props("history", "--out", airflow.out, "--json")
    states = {run["run_id"]: run["status"] for run in json.loads(answer.stdout)}
    # Airflow gives it a few seconds to end by itself.
    assert states[stopped] in ("failed", "killed")


def _is_build_to(out: Path, process: psutil.Process) -> bool:
    try:
        return {"build", f"--out={out}"} <= set(process.cmdline())
    except psutil.Error:
        return False


def test_the_dag_runs_without_a_scheduler(airflow: Airflow, tmp_path: Path) -> None:
    # On SQLite, which is the default; and beside a scheduler both would write the run.
    environ = {**airflow.environ, "AIRFLOW_HOME": str(tmp_path / "home")}
    del environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    command(environ, "db", "migrate")
    conf = {
        "out": str(tmp_path / "out"),
        "as_of_date": str(airflow.sunday),
        "raw": str(airflow.raw),
    }
    command(environ, "dags", "test", "value_props", "--conf", json.dumps(conf))
    assert (tmp_path / "out" / "final.csv").read_bytes() == (airflow.out / "final.csv").read_bytes()
