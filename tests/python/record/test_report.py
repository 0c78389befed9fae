"""The report of a run: true to the run, to its schema, and safe to show."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from collections import Counter
from decimal import Decimal
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import jsonschema
import pytest
from playwright.sync_api import Browser
from support.browser import open_page
from support.harness import CLEAN, RUN_DATE, begun
from support.http_receiver import receiving
from support.reference import Parameters, compute
from support.three_runs import Runs, report_of, request_of

from value_props.errors import ValuePropsError
from value_props.notify import metrics
from value_props.publish.out_path import OutPath
from value_props.record import history, report
from value_props.record.facts import Ended, NodeOutcome, Record
from value_props.record.shapes import (
    SAMPLE_LENGTH,
    SAMPLES_PER_REASON,
    SCHEMA_NAME,
    schema,
    schema_text,
)
from value_props.run import build as job
from value_props.run import ending
from value_props.run.request import new_run

SCHEMA = schema()


def test_every_report_keeps_to_its_schema(runs: Runs) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    shipped = resources.files("value_props.record").joinpath(SCHEMA_NAME).read_text("utf-8")
    assert shipped == schema_text(), "run `.venv/bin/python -m value_props.record.shapes`"
    for facts in runs.reports:
        jsonschema.validate(facts, SCHEMA)
    assert [facts["run"]["status"] for facts in runs.reports] == [
        "published", "published", "failed"
    ]  # fmt: skip
    assert runs.reports[0]["rows_in_mart"] == 120
    assert not runs.reports[0]["problems"]
    assert any("max-quarantine-rate" in problem for problem in runs.reports[2]["problems"])
    for facts in runs.reports[1:]:
        drift = [text for text in facts["warnings"] if text.startswith("Drift: ")]
        assert len(drift) == sum(check["status"] == "warn" for check in facts["drift"]) > 0


def test_quarantine_is_that_of_the_reference(runs: Runs) -> None:
    parameters = Parameters(
        run_date=datetime.date.fromisoformat(RUN_DATE), max_quarantine_rate=Decimal(1)
    )
    bad = sorted(compute(runs.raw, parameters).quarantine)
    expected = Counter((source, rule) for source, *_, rule in bad)
    assert max(expected.values()) > SAMPLES_PER_REASON
    sources = {source["name"]: source for source in runs.reports[1]["datasets"][:3]}
    found = {
        (name, reason["reason"]): reason
        for name, source in sources.items()
        for reason in source["quarantine"]
    }
    assert {key: reason["rows"] for key, reason in found.items()} == expected
    for (name, rule), reason in found.items():
        lines = [
            line for source, _, line, *_, reference in bad if (source, reference) == (name, rule)
        ]
        shown = [sample["line_number"] for sample in reason["samples"]]
        assert shown == sorted(lines)[:SAMPLES_PER_REASON]
        assert all(len(sample["text"]) <= SAMPLE_LENGTH + 1 for sample in reason["samples"])
    for source in sources.values():
        rows = source["rows"]
        assert rows["read"] == rows["kept"] + rows["quarantined"]
    assert "event_data.value_prop" in sources["prints"]["missing_columns"]


def test_parquet_says_the_same_as_json(runs: Runs) -> None:
    for facts in runs.reports:
        path = runs.out.history / facts["run"]["run_id"] / "report.parquet"
        query = (
            "select to_json(sets) from (select * exclude run_id"
            " from read_parquet(?, hive_partitioning = false)) as sets"
        )
        with duckdb.connect() as connection:
            rows = connection.execute(query, [str(path)]).fetchall()
        assert [json.loads(row) for (row,) in rows] == facts["datasets"]


def test_failing_tests_name_the_query_that_shows_their_rows(runs: Runs) -> None:
    failing = [
        test
        for dataset in runs.reports[2]["datasets"]
        for test in dataset["tests"]
        if test["status"] in ("fail", "warn")
    ]
    assert failing
    with duckdb.connect(str(runs.out.last_run / "value_props.duckdb"), read_only=True) as built:
        for test in failing:
            assert len(built.execute(test["query"]).fetchall()) == test["failures"], test["name"]


def test_every_test_is_listed_with_a_dataset(runs: Runs) -> None:
    facts = runs.reports[0]
    listed = {test["name"] for dataset in facts["datasets"] for test in dataset["tests"]}
    assert len(listed) == sum(facts["tests"].values()) > 30


def test_a_table_is_held_against_what_was_agreed(tmp_path: Path) -> None:
    path = tmp_path / "some.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create schema marts; create table marts.some (a integer, b date, d int)"
        )
    outcome = NodeOutcome(
        *("some", "model", "success", 0, 0.1, "", "marts.some"),
        columns={"a": "int", "b": "timestamp", "c": None},
    )
    known = begun("20201201T000000Z-000000")
    facts = report.compose(Record(known, Ended("published", 0), outcomes=[outcome]), path)
    jsonschema.validate(facts, SCHEMA)
    some = facts["datasets"][-1]
    assert some["missing_columns"] == ["c"]
    assert some["new_columns"] == ["d"]
    assert some["wrong_types"] == [{"name": "b", "expected": "timestamp", "found": "DATE"}]


def test_a_run_that_could_not_read_has_a_report_too(tmp_path: Path, browser: Browser) -> None:
    out, raw = OutPath(tmp_path / "out"), tmp_path / "raw"
    shutil.copytree(CLEAN, raw)
    (raw / "pays.csv").write_text("pay_date,total\n2020-11-01,1\n", encoding="utf-8")
    with pytest.raises(ValuePropsError) as stopped:
        job.build(request_of(raw, out))
    [record] = out.history.iterdir()
    facts = report_of(out, record.name)
    jsonschema.validate(facts, SCHEMA)
    assert facts["window"] is None
    assert facts["run"]["exit_code"] == stopped.value.exit_code == 2
    assert "pays.csv" in facts["problems"][0]
    opened = open_page(browser, out.last_run / "report.html", width=400)
    assert "pays.csv" in opened.page.inner_text("main")
    assert opened.violations() == []
    assert opened.overflow() == 0


@pytest.mark.parametrize(("module", "name"), [(report, "compose"), (ending, "write_page")])
def test_a_report_that_cannot_be_made_does_not_hide_why_a_run_failed(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no pencil")

    monkeypatch.setattr(module, name, fail)
    out = OutPath(tmp_path / "out")
    with receiving() as receiver:
        monkeypatch.setenv("VALUE_PROPS_WEBHOOK", receiver.url)
        with pytest.raises(ValuePropsError, match="failed the gate"):
            job.build(request_of(runs.raw, out))
        [alert] = (json.loads(body) for *_, body in receiver.requests)
    assert (alert["event"], alert["page"]) == ("failed", None)
    assert "quarantine" in alert["findings"][0]
    assert len(list(out.history.iterdir())) == 1
    assert (out.last_run / "run.log").read_text(encoding="utf-8").count("no pencil") == 1


def test_a_build_tells_of_its_failure_and_of_its_recovery(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = OutPath(tmp_path / "out")
    with receiving() as receiver:
        monkeypatch.setenv("VALUE_PROPS_WEBHOOK", receiver.url)
        with pytest.raises(ValuePropsError):
            job.build(request_of(runs.raw, out))
        job.build(request_of(CLEAN, out))
        job.build(request_of(CLEAN, out))
        failed, recovered = (json.loads(body) for *_, body in receiver.requests)
    assert (failed["event"], recovered["event"]) == ("failed", "recovered")
    assert failed["page"] == str(out.last_run / "report.html")
    assert Path(recovered["page"]).is_file()
    assert recovered["run_id"] == out.run_ids()[0]


def metrics_of(out: OutPath) -> dict[str, str]:
    text = (out.root / "metrics.prom").read_text(encoding="utf-8")
    return dict(re.findall(r"^value_props_(\S+) (\S+)$", text, re.M))


def ended_at(facts: dict[str, Any]) -> float:
    return datetime.datetime.fromisoformat(facts["run"]["ended_at"]).timestamp()


def test_metrics_tell_of_the_last_run_and_of_what_is_published(runs: Runs) -> None:
    text = (runs.out.root / "metrics.prom").read_text(encoding="utf-8")
    assert (runs.out.last_run / "metrics.prom").read_text(encoding="utf-8") == text
    found = metrics_of(runs.out)
    assert found['run_status{status="failed"}'] == "1.0"
    assert float(found["published_timestamp_seconds"]) == ended_at(runs.reports[1])
    quarantined = runs.reports[2]["datasets"][0]["rows"]["quarantined"]
    assert float(found['source_rows{outcome="quarantined",source="prints"}']) == quarantined


def test_a_rollback_changes_what_metrics_say_is_published(runs: Runs, tmp_path: Path) -> None:
    out = OutPath(tmp_path / "out")
    shutil.copytree(runs.out.root, out.root, symlinks=True)
    out.switch_to(history.run_before(out))
    ending.replace_metrics_after_rollback(out)
    found = metrics_of(out)
    assert found['run_status{status="failed"}'] == "1.0"
    assert float(found["published_timestamp_seconds"]) == ended_at(runs.reports[0])


def test_half_a_report_is_none(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object, path: Path) -> None:
        path.write_text("half", encoding="utf-8")
        raise OSError("No space left on device")

    monkeypatch.setattr(report, "_write_parquet", fail)
    with pytest.raises(OSError, match="No space"):
        report.write(runs.reports[0], tmp_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_what_a_model_says_of_raw_data_is_told_to_nobody(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = NodeOutcome("fct_prints", "model", "error", 0, 0.1, "cannot cast RAW-VALUE", "")
    monkeypatch.setattr(job, "_run_dbt", lambda *_: [outcome])
    out = OutPath(tmp_path / "out")
    with receiving() as receiver:
        monkeypatch.setenv("VALUE_PROPS_WEBHOOK", receiver.url)
        with pytest.raises(ValuePropsError, match="RAW-VALUE"):
            job.build(request_of(runs.raw, out))
        [(*_, body)] = receiver.requests
    assert b"Model fct_prints could not be built" in body
    assert b"RAW-VALUE" not in body
    assert "RAW-VALUE" not in (out.root / "metrics.prom").read_text(encoding="utf-8")


def test_an_interrupted_message_does_not_change_what_a_run_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(metrics, "push", interrupt)
    published = job.build(request_of(CLEAN, OutPath(tmp_path / "out")))
    assert published.is_current


def test_without_a_report_there_are_no_metrics(tmp_path: Path) -> None:
    out = OutPath(tmp_path)
    (tmp_path / "metrics.prom").write_text("of the run before", encoding="utf-8")
    run = new_run(request_of(tmp_path, out), tmp_path)
    ending.replace_metrics(run, out, None)
    assert not (tmp_path / "metrics.prom").exists()
