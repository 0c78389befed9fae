"""OpenLineage events, as a receiver on this machine gets them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.harness import ROOT, value_props

from value_props.logs import logger
from value_props.notify import lineage

FIXTURES = ROOT / "tests" / "fixtures"
API_KEY = "a-key-that-nobody-may-read"
CALLER = "orchestrator/weekly/01890a5d-ac96-774b-bcce-b302099a8057"


@dataclass
class Receiver:
    """What a receiver got.

    Args:
        url: of it.
        status: that it answers with; None for none at all.
        events: it took.
        keys: the headers of authorization.
    """

    url: str
    status: int | None = 201
    events: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)

    def of(self, job_name: str) -> dict[str, dict[str, Any]]:
        """The events of a job by type."""
        return {
            event["eventType"]: event for event in self.events if event["job"]["name"] == job_name
        }

    def of_model(self, unique_id: str) -> dict[str, dict[str, Any]]:
        """The events of a model's build by type."""
        return {
            event["eventType"]: event
            for event in self.events
            if event["job"]["facets"].get("dbt_node", {}).get("unique_id") == unique_id
            and event["job"]["facets"]["jobType"]["jobType"] == "MODEL"
        }

    def assertions(self) -> dict[str, bool]:
        """Whether each assertion of the data quality facets holds, by the test's name."""
        return {
            assertion["name"]: assertion["success"]
            for event in self.events
            for item in event["inputs"]
            for assertion in item.get("inputFacets", {})
            .get("dataQualityAssertions", {})
            .get("assertions", [])
        }

    def datasets(self) -> set[tuple[str, str]]:
        """Namespace and name of all inputs and outputs."""
        return {
            (item["namespace"], item["name"])
            for event in self.events
            for item in (*event["inputs"], *event["outputs"])
        }


@contextmanager
def receiving(status: int | None = 201) -> Iterator[Receiver]:
    receiver = Receiver("", status)
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.status is None:
                is_over.wait()
                return
            receiver.keys.add(self.headers["Authorization"])
            if receiver.status == 201:
                receiver.events.append(json.loads(body))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tell nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def without_openlineage() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if "OPENLINEAGE" not in name}


@dataclass(frozen=True)
class Built:
    """A run of the command, and what the receiver got of it."""

    receiver: Receiver
    exit_code: int
    log: str


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lineage") / "out"


def build(out: Path, raw: Path) -> Built:
    with receiving() as receiver, pytest.MonkeyPatch.context() as patched:
        patched.setenv("OPENLINEAGE_URL", receiver.url)
        patched.setenv("OPENLINEAGE_API_KEY", API_KEY)
        patched.setenv("OPENLINEAGE_PARENT_ID", CALLER)
        answer = value_props("build", "--raw", raw, "--out", out, "--run-date", "2020-12-01")
    return Built(receiver, answer.returncode, answer.stdout + answer.stderr)


@pytest.fixture(scope="module")
def passed(out: Path) -> Built:
    built = build(out, FIXTURES / "clean")
    assert built.exit_code == 0, built.log
    return built


@pytest.fixture(scope="module")
def failed(out: Path, passed: Built) -> Built:
    built = build(out, FIXTURES / "dirty")
    assert built.exit_code == 1, built.log
    return built


@pytest.fixture
def run(out: Path, passed: Built) -> lineage.DbtRun:
    """The run of `passed`, to be told of again."""
    return lineage.DbtRun(
        project=str(ROOT),
        target_path=str(out / ".cache" / "dbt"),
        database=str(out / "value_props.duckdb"),
        published=str(out / "value_props.duckdb"),
        run_id="20201201T000000Z-000000",
        started_at="2020-12-01T00:00:00Z",
        is_passed=True,
    )


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged."""
    texts: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: texts.append(record.getMessage()))
    monkeypatch.setattr(logger, "handlers", [handler])
    return texts


@pytest.fixture(autouse=True)
def _no_config_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_each_model_starts_and_completes_under_the_run(passed: Built, out: Path) -> None:
    run = passed.receiver.of("dbt-run-value_props")
    assert set(run) == {"START", "COMPLETE"}
    assert run["START"]["eventTime"] < run["COMPLETE"]["eventTime"]
    assert run["START"]["run"]["facets"]["parent"]["job"]["name"] == "weekly"
    [run_folder] = (out / "runs").iterdir()
    tags = {tag["key"]: tag["value"] for tag in run["START"]["run"]["facets"]["tags"]["tags"]}
    assert tags["value_props_run_id"] == run_folder.name
    manifest = json.loads((out / ".cache" / "dbt" / "manifest.json").read_text(encoding="utf-8"))
    models = [name for name in manifest["nodes"] if name.startswith("model.")]
    assert models
    for name in models:
        events = passed.receiver.of_model(name)
        assert set(events) == {"START", "COMPLETE"}, name
        for event in events.values():
            parent = event["run"]["facets"]["parent"]
            assert parent["run"]["runId"] == run["START"]["run"]["runId"]
            assert parent["root"]["run"]["runId"] == CALLER.rpartition("/")[2]


def test_columns_of_the_mart_have_types_and_come_from_tables(passed: Built, out: Path) -> None:
    event = passed.receiver.of_model("model.value_props.fct_prints")["COMPLETE"]
    [output] = event["outputs"]
    types = {item["name"]: item["type"] for item in output["facets"]["schema"]["fields"]}
    assert types["prior_views"] == "BIGINT"
    assert types["prior_amount"] == "DECIMAL(18,2)"
    columns = output["facets"]["columnLineage"]["fields"]
    assert set(columns) == set(types)
    [source] = columns["prior_views"]["inputFields"]
    assert (source["namespace"], source["name"], source["field"]) == (
        f"duckdb://{out / 'value_props.duckdb'}",
        "value_props.intermediate.int_prior_activity",
        "prior_views",
    )
    assert {item["field"] for item in columns["print_id"]["inputFields"]} == {
        "print_date", "user_id", "value_prop", "position"
    }  # fmt: skip


def test_every_column_lineage_names_datasets_of_the_run(passed: Built) -> None:
    named = {
        (item["namespace"], item["name"])
        for event in passed.receiver.events
        for output in event["outputs"]
        for columns in output["facets"].get("columnLineage", {}).get("fields", {}).values()
        for item in columns["inputFields"]
    }
    assert len(named) > 10
    # Seeds are tables, but no models: the library leaves them out of the inputs.
    assert {name for _, name in named - passed.receiver.datasets()} <= {
        "value_props.staging.value_props"
    }


def test_a_passed_run_holds_its_assertions(passed: Built) -> None:
    assertions = passed.receiver.assertions()
    assert len(assertions) > 20
    assert all(assertions.values())


def test_a_run_that_fails_the_gate_fails_with_its_tests(failed: Built) -> None:
    assert set(failed.receiver.of("dbt-run-value_props")) == {"START", "FAIL"}
    assert "FAIL" in failed.receiver.of("test.value_props.assert_quarantine_rate_is_allowed")
    assertions = failed.receiver.assertions()
    assert assertions["assert_quarantine_rate_is_allowed"] is False
    assert True in assertions.values()


def test_a_skipped_test_is_neither_passed_nor_failed(run: lineage.DbtRun, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    shutil.copy(Path(run.target_path) / "manifest.json", target)
    results = json.loads((Path(run.target_path) / "run_results.json").read_text(encoding="utf-8"))
    name = "assert_value_props_keep_their_share"
    [test] = [item for item in results["results"] if item["unique_id"].endswith(f".{name}")]
    test.update(status="skipped", failures=None)
    (target / "run_results.json").write_text(json.dumps(results), encoding="utf-8")
    with receiving() as receiver:
        environ = {**without_openlineage(), "OPENLINEAGE_URL": receiver.url}
        assert lineage.emit(replace(run, target_path=str(target)), environ) > 100
    assert receiver.assertions()
    assert name not in receiver.assertions()


def test_runs_name_the_same_datasets(passed: Built, failed: Built, out: Path) -> None:
    datasets = failed.receiver.datasets()
    assert len(datasets) > 10
    assert datasets <= passed.receiver.datasets()
    assert {namespace for namespace, _ in datasets} == {f"duckdb://{out / 'value_props.duckdb'}"}


def test_no_raw_row_is_sent(failed: Built) -> None:
    text = json.dumps(failed.receiver.events)
    lines = (
        (FIXTURES / "dirty" / "pays.csv")
        .read_text(errors="replace", encoding="utf-8")
        .splitlines()[1:]
    )
    assert len(lines) > 10
    assert not [line for line in lines if len(line) > 12 and line in text]


def test_the_key_is_sent_and_never_logged(passed: Built, out: Path) -> None:
    assert passed.receiver.keys == {f"Bearer {API_KEY}"}
    assert "step=lineage" in passed.log
    assert API_KEY not in passed.log
    [log] = (out / "runs").glob("*/run.log")
    assert API_KEY not in log.read_text(encoding="utf-8")


def test_a_config_file_names_the_receiver_and_results_of_older_runs_stay_untold(
    run: lineage.DbtRun, tmp_path: Path
) -> None:
    with receiving() as receiver:
        config = tmp_path / "lineage.yml"
        config.write_text(f"transport: {{type: http, url: '{receiver.url}'}}\n", encoding="utf-8")
        environ = {**without_openlineage(), "OPENLINEAGE_CONFIG": str(config)}
        later = replace(run, started_at="2999-01-01T00:00:00Z", is_passed=False)
        assert lineage.emit(later, environ) == 2
    assert [event["eventType"] for event in receiver.events] == ["START", "FAIL"]


@pytest.mark.parametrize("status", [None, 401])
def test_a_receiver_that_refuses_or_never_answers_is_a_warning(
    run: lineage.DbtRun, lines: list[str], status: int | None
) -> None:
    with receiving(status) as receiver:
        url = receiver.url.replace("//", "//somebody:a-password@")
        environ = {**without_openlineage(), "OPENLINEAGE_URL": url, "OPENLINEAGE_API_KEY": API_KEY}
        start = time.monotonic()
        assert lineage.emit(run, environ) == 0
        assert time.monotonic() - start < 10
    [line] = lines
    assert "step=lineage" in line
    assert ("401" if status else "within") in line
    assert "a-password" not in line
    assert API_KEY not in line


def test_a_receiver_out_of_reach_is_a_warning(run: lineage.DbtRun, lines: list[str]) -> None:
    with receiving() as receiver:
        pass
    start = time.monotonic()
    assert lineage.emit(run, {**without_openlineage(), "OPENLINEAGE_URL": receiver.url}) == 0
    assert time.monotonic() - start < 10
    assert len(lines) == 1


def test_nothing_is_imported_or_sent_unless_configured(
    run: lineage.DbtRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        environ = {**without_openlineage(), "OPENLINEAGE_URL": receiver.url}
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it was started"))
        assert lineage.emit(run, without_openlineage()) == 0
        assert lineage.emit(run, {**environ, "OPENLINEAGE_DISABLED": "true"}) == 0
    monkeypatch.undo()
    code = (
        "import sys, value_props.cli.program, value_props.run.build;"
        " print('openlineage' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        errors="replace",
        check=True,
        cwd=ROOT,
        encoding="utf-8",
    )
    assert answer.stdout == "False\n"


@pytest.mark.parametrize(
    ("method", "fault"), [("is_file", PermissionError), ("expanduser", RuntimeError)]
)
def test_a_home_folder_of_another_user_is_no_fault(
    method: str, fault: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise fault

    monkeypatch.setattr(Path, method, refuse)
    assert not lineage.is_configured(tmp_path, {})
