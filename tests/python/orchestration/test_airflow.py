"""The DAG: its shape, how it calls the job, and what a real Airflow on PostgreSQL makes of it."""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import psutil
import pytest
import requests
from support.browser import chromium
from support.harness import CLEAN, ROOT, contents, free_port, value_props
from support.http_receiver import Receiver, receiving

from value_props.cli.program import cli
from value_props.parameters import PARAMETERS, check_parameters
from value_props.publish.places import Place

FOLDER = ROOT / "orchestration" / "airflow"
BIN = ROOT / ".venv-airflow" / "bin"
WEEK = datetime.timedelta(days=7)
MAIL_TO = ("one@example.org", "two@example.org")


def _helper() -> ModuleType:
    # Its folder holds a file with the name of the package, so it may not be on the path.
    spec = importlib.util.spec_from_file_location(
        "value_props_job", FOLDER / "dags" / "value_props_job.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


job = _helper()

# --- How the job is called -------------------------------------------------------------------


def settings(**environ: str) -> Any:
    return job.settings_of(environ)


MONDAY = datetime.datetime(2020, 11, 16, 6, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("run_type", "logical_date", "asked", "conf", "environ", "expected"),
    [
        ("scheduled", MONDAY, "", {}, {}, "2020-11-15"),
        ("backfill", MONDAY, "", {}, {}, "2020-11-15"),
        ("manual", None, "", {}, {}, ""),
        ("manual", MONDAY, "", {}, {}, ""),
        ("manual", None, "2020-11-08", {"as_of_date": "2020-11-08"}, {}, "2020-11-08"),
        ("backfill", MONDAY, "2020-11-01", {"as_of_date": "2020-11-01"}, {}, "2020-11-01"),
        ("scheduled", MONDAY, "2020-11-29", {}, {"VALUE_PROPS_AS_OF": "2020-11-29"}, "2020-11-29"),
        ("backfill", MONDAY, "2020-11-29", {}, {"VALUE_PROPS_AS_OF": "2020-11-29"}, "2020-11-15"),
        ("scheduled", MONDAY, "", {}, {"VALUE_PROPS_SCHEDULE": "quick"}, ""),
    ],
)
def test_the_cut_off_of_a_run(
    run_type: str,
    logical_date: datetime.datetime | None,
    asked: str,
    conf: dict[str, str],
    environ: dict[str, str],
    expected: str,
) -> None:
    assert job.cut_off(run_type, logical_date, asked, conf, settings(**environ)) == expected


def test_the_command_line_takes_every_parameter_of_the_dag() -> None:
    given = {
        "as_of_date": "2020-11-15",
        "week_rule": "latest",
        "report_weeks": 2,
        "lookback_weeks": 4,
        "lookback_anchor": "print",
        "max_quarantine_rate": 0.00002,
        "allow_incomplete": True,
        "run_date": "2020-12-01",
        "raw": "--out=a; rm -rf $(x)",
        "out": "-b c",
        "make_current": True,
    }
    context = cli.commands["build"].make_context("build", job.arguments_of(given))
    for name, value in given.items():
        taken = context.params[name]
        if isinstance(taken, Place):
            assert taken.folder == Path(str(value)).absolute()
            continue
        assert (float(taken) if isinstance(value, float) else taken) == (
            value if isinstance(value, bool | float) else str(value)
        )
    texts = {p.name: context.params[p.name] for p in PARAMETERS if p.name != "allow_incomplete"}
    assert check_parameters(texts) == texts
    assert job.arguments_of({"as_of_date": "", "allow_incomplete": False, "raw": ""}) == []
    # JSON has no 0.0.
    assert job.arguments_of({"max_quarantine_rate": 0}) == ["--max-quarantine-rate=0"]


def test_the_job_gets_the_environment_without_secrets_of_airflow_and_tells_nobody() -> None:
    kept = {"AWS_REGION": "a", "VALUE_PROPS_OUT": "b", "VALUE_PROPS_PUSHGATEWAY": "c"}
    dropped = {
        "AIRFLOW_CONN_X": "d",
        "AIRFLOW__CORE__FERNET_KEY": "e",
        "VALUE_PROPS_SLACK_WEBHOOK": "f",
        "VALUE_PROPS_WEBHOOK": "g",
    }
    assert job.environment_of({**kept, **dropped}) == kept


@pytest.mark.parametrize(
    ("name", "text"), [("VALUE_PROPS_SCHEDULE", "daily"), ("VALUE_PROPS_RETRIES", "-1")]
)
def test_a_wrong_setting_is_named(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: '{text}' is not allowed"):
        settings(**{name: text})


def test_a_stopped_job_ends_its_process_and_tells_its_output(tmp_path: Path) -> None:
    script = tmp_path / "slow"
    script.write_text(
        "#!/bin/bash\necho step=start run_id=some-run\nexec sleep 60\n", encoding="utf-8"
    )
    script.chmod(0o755)
    lines: list[str] = []
    slow = job.Job([str(script)], dict(os.environ), lines.append)
    codes: list[int] = []
    thread = Thread(target=lambda: codes.append(slow.build([])))
    thread.start()
    wait_for(lambda: slow.run_id is not None, 20, "the first line")
    slow.stop()
    thread.join(10)
    assert codes == [-signal.SIGTERM]
    assert lines == ["step=start run_id=some-run"]
    assert slow.run_id == "some-run"


def test_a_failure_is_told_in_lines_without_end() -> None:
    report = {"run": {"status": "failed"}, "problems": ["x" * 900, "b", "c", "d"]}
    lines = job.failure_of(1, "some-run", report, "out/").split("\n")
    assert lines[0] == "value-props failed: the data failed the gate (exit 1)"
    assert len(lines[1]) < 600
    assert lines[2:] == [
        "- b",
        "- c",
        "and 1 more",
        "Run some-run",
        "Report: out/last_run/report.html",
    ]


# --- The DAG ---------------------------------------------------------------------------------

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


def _needs_airflow() -> None:
    if not (BIN / "airflow").exists():
        pytest.skip("Airflow is not installed (make test installs it into .venv-airflow)")


def shape(home: Path, **environ: str) -> dict[str, Any]:
    _needs_airflow()
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


# --- A real Airflow --------------------------------------------------------------------------


def wait_for(is_so: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = is_so()
        if found:
            return found
        time.sleep(1)
    pytest.fail(f"no {what} within {seconds:.0f} s")


@contextmanager
def postgres() -> Iterator[str]:
    """A cluster of its own on this machine; its URL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = programs[-1] if programs else shutil.which("initdb")
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    bin_path = Path(found).parent
    # It refuses to run as root.
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    as_user = as_user if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="value_props_pg_") as name:
        folder = Path(name)
        if as_user:
            shutil.chown(folder, "postgres")
        port = free_port()
        # Its user may not read where the locale of this process lies.
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("LC_", "LOCPATH"))
        } | {"LANG": "C"}

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [*as_user, bin_path / program, *arguments],
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=60,
            )

        data = str(folder / "data")
        run(
            "initdb",
            "--pgdata",
            data,
            "--username=airflow",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
        )
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -k {folder}"
        log = str(folder / "log")
        run("pg_ctl", "--pgdata", data, "--wait", "--log", log, "--options", options, "start")
        try:
            yield f"postgresql+psycopg2://airflow@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "--pgdata", data, "--mode=immediate", "--wait", "stop")


@contextmanager
def mail_server() -> Iterator[tuple[int, list[tuple[list[str], str]]]]:
    """An SMTP server on this machine: its port, and the recipients and text of each mail."""
    mails: list[tuple[list[str], str]] = []

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 here")
            recipients: list[str] = []
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "RCPT":
                    recipients.append(line.partition("<")[2].rstrip(">"))
                if verb != "DATA":
                    self.say("221 bye" if verb == "QUIT" else "250 ok")
                    continue
                self.say("354 go on")
                text = []
                while (part := self.rfile.readline().decode()) != ".\r\n":
                    text.append(part)
                mails.append((recipients, "".join(text)))
                self.say("250 ok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1], mails
        server.shutdown()


def _slack_answer(handler: BaseHTTPRequestHandler) -> None:
    body = b'{"ok": true}'
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@dataclass
class Airflow:
    """A running Airflow, and what it is to work on.

    Args:
        url: of its API server.
        environ: of its command line.
        raw: folder of raw files that end on the last Sunday before the last Monday 06:00.
        sunday: that day.
        slack: who gets its posts.
        mails: that it sent: recipients and text.
    """

    url: str
    environ: dict[str, str]
    raw: Path
    out: Path
    sunday: datetime.date
    slack: Receiver
    mails: list[tuple[list[str], str]]
    token: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def password(self) -> str:
        path = Path(self.environ["AIRFLOW_HOME"]) / "simple_auth_manager_passwords.json.generated"
        password: str = json.loads(path.read_text(encoding="utf-8"))["admin"]
        return password

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = requests.request(
            method,
            f"{self.url}/api/v2{path}",
            headers={"Authorization": f"Bearer {self.token}"},
            json=body or None,
            timeout=30,
        )
        assert answer.ok, answer.text
        return answer.json()

    def trigger(self, **conf: Any) -> str:
        path = "/dags/value_props/dagRuns"
        run_id: str = self.call("POST", path, logical_date=None, conf=conf)["dag_run_id"]
        return run_id

    def ended(self, run_type: str, run_id: str | None = None) -> dict[str, Any]:
        """A run, once it has ended."""

        def find() -> dict[str, Any] | None:
            for run in self.call("GET", "/dags/value_props/dagRuns?limit=50")["dag_runs"]:
                is_it = run["run_type"] == run_type and run_id in (None, run["dag_run_id"])
                if is_it and run["state"] in ("success", "failed"):
                    found: dict[str, Any] = run
                    return found
            return None

        run: dict[str, Any] = wait_for(find, 600, f"end of the {run_type} run")
        return run

    def tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        path = f"/dags/value_props/dagRuns/{run['dag_run_id']}/taskInstances?limit=200"
        found: list[dict[str, Any]] = self.call("GET", path)["task_instances"]
        return found

    def states(self, run: dict[str, Any]) -> dict[str, Counter[str]]:
        """How many task instances are in which state, by task."""
        found: dict[str, Counter[str]] = {}
        for instance in self.tasks(run):
            found.setdefault(instance["task_id"], Counter())[instance["state"]] += 1
        return found

    def log(self, run: dict[str, Any], task_id: str, index: int, attempt: int = 1) -> str:
        path = (
            f"/dags/value_props/dagRuns/{run['dag_run_id']}/taskInstances/{task_id}"
            f"/logs/{attempt}?map_index={index}&full_content=true"
        )
        return "\n".join(str(line) for line in self.call("GET", path)["content"])

    def asset_events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "/assets/events")["asset_events"]
        return found


def command(environ: Mapping[str, str], *arguments: str) -> None:
    """Run the command line of Airflow."""
    answer = subprocess.run(
        [BIN / "airflow", *arguments],
        env=environ,
        capture_output=True,
        errors="replace",
        check=False,
        timeout=600,
        encoding="utf-8",
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def shifted_raw(folder: Path, last: datetime.date) -> Path:
    """The clean fixture, so many weeks later that its last Sunday is another one."""
    by = last - datetime.date(2020, 11, 29)
    assert by.days % 7 == 0
    folder.mkdir()
    for path in CLEAN.iterdir():
        text = re.sub(
            r"2020-1\d-\d\d",
            lambda match: (datetime.date.fromisoformat(match[0]) + by).isoformat(),
            path.read_text(encoding="utf-8"),
        )
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """Airflow as `make airflow` starts it, with everything that it reaches on this machine."""
    _needs_airflow()
    folder = tmp_path_factory.mktemp("airflow")
    slot = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=6)
    sunday = slot.date() - datetime.timedelta(days=slot.weekday() + 1)
    with ExitStack() as running:
        database = running.enter_context(postgres())
        slack = running.enter_context(receiving())
        slack.answer = _slack_answer
        smtp_port, mails = running.enter_context(mail_server())
        port = free_port()
        connections = {
            "SLACK": {
                "conn_type": "slack",
                "password": "xoxb-secret",
                "extra": {"base_url": f"{slack.url}/", "channel": "#some"},
            },
            "SMTP": {
                "conn_type": "smtp",
                "host": "127.0.0.1",
                "port": smtp_port,
                "extra": {
                    "disable_ssl": True,
                    "disable_tls": True,
                    "from_email": "airflow@example.org",
                },
            },
        }
        command = folder / "value-props"
        command.write_text(
            f"#!/bin/sh\nexec {shlex.quote(sys.executable)}"
            ' -c "from value_props.cli.program import main; main()" "$@"\n',
            encoding="utf-8",
        )
        command.chmod(0o755)
        environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "VALUE_PROPS_COMMAND": shlex.quote(str(command)),
            "VALUE_PROPS_RAW": str(shifted_raw(folder / "raw", sunday)),
            "VALUE_PROPS_OUT": str(folder / "out"),
            "VALUE_PROPS_RETRIES": "1",
            "VALUE_PROPS_RETRY_SECONDS": "1",
            "VALUE_PROPS_MAIL_TO": ", ".join(MAIL_TO),
            # Of the job itself: it would tell of each try.
            "VALUE_PROPS_SLACK_WEBHOOK": f"{slack.url}/job",
            **{
                f"AIRFLOW_CONN_VALUE_PROPS_{name}": json.dumps(connection)
                for name, connection in connections.items()
            },
        }
        up = subprocess.Popen(
            [FOLDER / "up"],
            env=environ,
            stdout=subprocess.PIPE,
            errors="replace",
            start_new_session=True,
            encoding="utf-8",
        )
        running.callback(_stop, up)
        url = f"http://127.0.0.1:{port}"
        found = Airflow(url, environ, folder / "raw", folder / "out", sunday, slack, mails)
        assert up.stdout is not None
        told = [up.stdout.readline() for _ in range(2)]
        assert url in told[0], told
        wait_for(lambda: _is_healthy(url), 180, "healthy Airflow")
        assert found.password not in "".join(told)
        answer = requests.post(
            f"{url}/auth/token",
            json={"username": "admin", "password": found.password},
            timeout=30,
        )
        found.token = answer.json()["access_token"]
        wait_for(
            lambda: (
                requests.get(
                    f"{url}/api/v2/dags/value_props",
                    headers={"Authorization": f"Bearer {found.token}"},
                    timeout=30,
                ).ok
            ),
            180,
            "DAG",
        )
        # The slot of the last Monday is run at once.
        found.call("PATCH", "/dags/value_props", is_paused=False)
        yield found
    assert up.returncode == 130
    home = environ["AIRFLOW_HOME"]
    assert not [process for process in psutil.process_iter() if _logs_to(home, process)]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def _stop(up: subprocess.Popen[str]) -> None:
    # As a terminal does, to all of the group.
    os.killpg(up.pid, signal.SIGINT)
    try:
        up.wait(60)
    finally:
        if up.poll() is None:
            os.killpg(up.pid, signal.SIGINT)
            up.wait(20)


def _logs_to(home: str, process: psutil.Process) -> bool:
    """Whether a process writes below the AIRFLOW_HOME; its environment Airflow overwrites."""
    try:
        return any(file.path.startswith(home) for file in process.open_files())
    except psutil.Error:
        return False


def _is_healthy(url: str) -> bool:
    try:
        health = requests.get(f"{url}/api/v2/monitor/health", timeout=10).json()
    except (requests.RequestException, ValueError):
        return False
    return all(
        health[name]["status"] == "healthy"
        for name in ("metadatabase", "scheduler", "dag_processor")
    )


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
    [(_, path, body)] = airflow.slack.requests
    assert path == "/chat.postMessage"
    post = json.loads(body)
    assert post["channel"] == "#some"
    [(recipients, mail)] = airflow.mails
    assert recipients == list(MAIL_TO)
    assert "Subject: value-props failed: the data failed the gate (exit 1)" in mail
    run_id = max(path.name for path in (airflow.out / "quality").iterdir())
    for part in ("no print on", f"Run {run_id}", f"{failed['dag_run_id']}", f"{airflow.url}/dags/"):
        assert part in post["text"]
    assert f"Report: {airflow.out}/last_run/report.html" in post["text"]


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


def test_the_grid_shows_the_runs(airflow: Airflow, failed: dict[str, Any], tmp_path: Path) -> None:
    with chromium() as browser:
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
    told = len(airflow.slack.requests), len(airflow.mails)
    run = airflow.ended("manual", airflow.trigger(raw=str(airflow.raw / "none")))
    [build] = [t for t in airflow.tasks(run) if t["task_id"] == "build"]
    assert (build["state"], build["try_number"]) == ("failed", 1)
    assert (len(airflow.slack.requests), len(airflow.mails)) == (told[0] + 1, told[1] + 1)
    text = json.loads(airflow.slack.requests[-1][2])["text"]
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
