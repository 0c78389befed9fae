"""The metrics of a run: their text, their file, the push, and the rules and dashboard on them."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.harness import ROOT, free_port
from support.http_receiver import (
    SECRET,
    Receiver,
    never_ends_its_answer,
    never_ends_its_headers,
    stays_silent,
    with_status,
)
from support.sample_report import sample_report

from value_props.logs import logger
from value_props.notify import metrics

MONITORING = ROOT / "orchestration" / "monitoring"
RULES = MONITORING / "alert_rules.yml"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


SKEW = {
    "feature_date": "2020-11-23",
    "run_id": "20201123T060000Z-0b0b0b",
    "value_prop": "point",
    "prints": 500,
    "skewed_prints": 7,
}
PUBLISHED = sample_report(
    "published",
    warnings=["A file is empty"],
    rows_in_features=3500000,
    feature_skew=[SKEW, {**SKEW, "value_prop": "transport", "skewed_prints": 2}],
)
FAILED = sample_report(
    "failed",
    run={
        **PUBLISHED["run"],
        "started_at": "2020-12-07T06:00:00Z",
        "ended_at": "2020-12-07T06:00:05Z",
        "status": "failed",
        "exit_code": 2,
        "is_made_current": False,
    },
    window=None,
    problems=["It could not run"],
    warnings=["A file is empty"],
    rows_in_mart=None,
    rows_in_features=None,
    feature_skew=[],
)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name, without prefix, and the values of the labels in order of their names."""
    return {
        (
            sample.name.removeprefix("value_props_"),
            *(sample.labels[key] for key in sorted(sample.labels)),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


TEXT = metrics.text_of(PUBLISHED, None)
NAMES = {family.name for family in text_string_to_metric_families(TEXT)}


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    return subprocess.run(
        ["promtool", *map(str, arguments)],
        input=text,
        capture_output=True,
        errors="replace",
        check=False,
        encoding="utf-8",
    )


def test_every_fact_of_a_published_run_is_told_once() -> None:
    assert samples(TEXT) == {
        ("run_status", "published"): 1,
        ("run_status", "failed"): 0,
        ("run_exit_code",): 0,
        ("run_start_timestamp_seconds",): 1606716000,
        ("run_end_timestamp_seconds",): 1606716090,
        ("run_duration_seconds",): 90,
        ("run_step_duration_seconds", "parse"): 6.5,
        ("run_step_duration_seconds", "dbt"): 70.25,
        ("source_rows", "read", "pays"): 100,
        ("source_rows", "kept", "pays"): 88,
        ("source_rows", "quarantined", "pays"): 12,
        ("source_quarantined_rows", "malformed", "pays"): 10,
        ("source_quarantined_rows", "duplicate", "pays"): 2,
        ("mart_rows",): 1234567,
        ("feature_rows",): 3500000,
        ("feature_skewed_prints",): 9,
        ("tests", "pass"): 38,
        ("tests", "warn"): 1,
        ("tests", "fail"): 0,
        ("tests", "error"): 0,
        ("tests", "skipped"): 0,
        ("drift_checks", "pass"): 2,
        ("drift_checks", "warn"): 1,
        ("drift_checks", "unknown"): 0,
        ("run_problems",): 0,
        ("run_warnings",): 1,
        ("published_timestamp_seconds",): 1606716090,
        ("published_data_end_timestamp_seconds",): 1606780800,  # 2020-12-01, midnight UTC
        ("published_week_end_timestamp_seconds",): 1606694400,  # 2020-11-30, midnight UTC
    }


def test_a_run_that_is_not_made_current_leaves_what_is_published() -> None:
    text = metrics.text_of(FAILED, PUBLISHED)
    told = samples(text)
    assert told["run_status", "failed"] == told["run_problems",] == 1
    assert told["run_exit_code",] == 2
    assert not {("mart_rows",), ("feature_rows",), ("feature_skewed_prints",)} & set(told)
    kept = {key: value for key, value in samples(TEXT).items() if key[0].startswith("published_")}
    assert {key: value for key, value in told.items() if key[0].startswith("published_")} == kept
    assert len(kept) == 3
    assert "published_" not in metrics.text_of(FAILED, None)


@pytest.mark.parametrize("report", [PUBLISHED, FAILED])
def test_promtool_has_nothing_to_say_of_the_text(report: dict[str, Any]) -> None:
    result = promtool("check", "metrics", text=metrics.text_of(report, None))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.fixture
def log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """What this project logs, and no library."""
    # A run of the command in this process may have left it off.
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.DEBUG, logger.name)
    return caplog


def test_without_a_pushgateway_nothing_is_pushed(log: pytest.LogCaptureFixture) -> None:
    metrics.push(TEXT, {})
    metrics.push(TEXT, {metrics.PUSHGATEWAY: ""})
    assert log.messages == []


def test_a_push_replaces_the_metrics_of_the_run_before(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    if shutil.which("prometheus-pushgateway") is None:
        pytest.skip(
            "prometheus-pushgateway is not installed (Debian package prometheus-pushgateway)"
        )
    address = f"127.0.0.1:{free_port()}"
    gateway = subprocess.Popen(
        ["prometheus-pushgateway", f"--web.listen-address={address}"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://{address}/-/ready")
        environ = {metrics.PUSHGATEWAY: f"http://someone:{SECRET}@{address}/"}
        metrics.push(TEXT, environ)
        assert 'value_props_mart_rows{instance="",job="value_props"} 1.234567e+06' in read(address)
        metrics.push(metrics.text_of(FAILED, PUBLISHED), environ)
        assert "value_props_mart_rows" not in read(address)
        assert 'value_props_run_exit_code{instance="",job="value_props"} 2' in read(address)
        assert log.messages == [f"step=push target=http://{address}"] * 2

        metrics.push("no metric", environ)
        [warning] = [record for record in log.records if record.levelno == logging.WARNING]
        assert "status 400" in warning.message
        assert SECRET not in log.text
    finally:
        gateway.terminate()
        gateway.wait(10)


def wait_for(url: str) -> None:
    for _ in range(100):
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    pytest.fail("The Pushgateway did not start in 10 seconds")


def read(address: str) -> str:
    return requests.get(f"http://{address}/metrics", timeout=5).text


@pytest.mark.parametrize("spoil", [stays_silent, never_ends_its_headers])
def test_a_server_that_keeps_a_push_waiting_is_left(
    receiver: Receiver,
    spoil: Callable[[Receiver], None],
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil(receiver)
    monkeypatch.setattr(metrics, "PUSH_SECONDS", 1.0)
    url = receiver.url.replace("//", f"//someone:{SECRET}@")
    start = time.monotonic()
    metrics.push(TEXT, {metrics.PUSHGATEWAY: url})
    assert time.monotonic() - start < 2
    assert len(receiver.requests) == 1
    [warning] = log.records
    assert warning.levelno == logging.WARNING
    assert f"target={receiver.url} " in warning.message
    assert SECRET not in log.text


@pytest.mark.parametrize(
    "url",
    [
        f"http://someone:{SECRET}@127.0.0.1:1/{SECRET}?{SECRET}",
        f"http://someone:{SECRET}@[127.0.0.1",
        f"http://someone:{SECRET}@127.0.0.1:port",
        f"file:///{SECRET}",
        f"{SECRET}",
    ],
)
def test_a_push_that_cannot_be_made_is_one_warning_without_secrets(
    url: str, log: pytest.LogCaptureFixture
) -> None:
    metrics.push(TEXT, {metrics.PUSHGATEWAY: url})
    [warning] = log.records
    assert warning.levelno == logging.WARNING
    assert SECRET not in log.text


def test_a_redirect_is_not_followed(receiver: Receiver, log: pytest.LogCaptureFixture) -> None:
    receiver.answer = with_status(302, Location="/elsewhere")
    metrics.push(TEXT, {metrics.PUSHGATEWAY: receiver.url})
    assert len(receiver.requests) == 1
    [warning] = log.records
    assert "status 302" in warning.message


def test_an_endless_answer_is_not_read(receiver: Receiver, log: pytest.LogCaptureFixture) -> None:
    never_ends_its_answer(receiver)
    metrics.push(TEXT, {metrics.PUSHGATEWAY: receiver.url})
    assert log.messages == [f"step=push target={receiver.url}"]


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_promtool_accepts_the_rules() -> None:
    result = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_rules_fire_when_they_should() -> None:
    result = promtool("test", "rules", MONITORING / "alert_rules_test.yml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_rule_is_tested_firing_and_not_firing() -> None:
    cases = yaml.safe_load((MONITORING / "alert_rules_test.yml").read_text(encoding="utf-8"))[
        "tests"
    ]
    tested = {
        (case["alertname"], bool(case["exp_alerts"]))
        for test in cases
        for case in test["alert_rule_test"]
    }
    assert tested == {(rule["alert"], fires) for rule in rules() for fires in (True, False)}


def test_each_rule_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description"}


def panel_expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_rules_and_panels_name_metrics_that_there_are() -> None:
    for expression in [*panel_expressions(), *(rule["expr"] for rule in rules())]:
        named = set(re.findall(r"value_props_\w+", expression))
        assert named, expression
        assert named <= NAMES, expression


def test_every_panel_shows_something_of_a_published_run(tmp_path: Path) -> None:
    series = [line.rsplit(" ", 1) for line in TEXT.splitlines() if not line.startswith("#")]
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": value} for name, value in series],
        "promql_expr_test": [
            {
                "expr": f"count({expression}) > bool 0",
                "eval_time": "0m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
            for expression in panel_expressions()
        ],
    }
    path = tmp_path / "panels_test.yml"
    path.write_text(
        yaml.safe_dump({"evaluation_interval": "1m", "tests": [case]}), encoding="utf-8"
    )
    result = promtool("test", "rules", path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_panels_have_a_title_a_unit_and_an_id_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        ), (one, other)


def test_the_dashboard_takes_whatever_data_source_it_is_given() -> None:
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    for holder in [*PANELS, *(target for panel in PANELS for target in panel["targets"])]:
        assert holder["datasource"] == {"type": "prometheus", "uid": f"${{{variable['name']}}}"}


def test_the_readme_tells_of_every_metric_and_its_labels() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([\w, ]*)\|", (MONITORING / "README.md").read_text(encoding="utf-8"), re.M
    )
    described = {f"value_props_{name}": set(re.findall(r"\w+", labels)) for name, labels in rows}
    assert described == {
        family.name: {label for sample in family.samples for label in sample.labels}
        for family in text_string_to_metric_families(TEXT)
    }
