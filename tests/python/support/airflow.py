"""Start a real Airflow with the DAG value_props, on PostgreSQL, as `make airflow` does."""

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
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
import requests
from support.harness import CLEAN, ROOT, free_port
from support.http_receiver import Receiver, receiving, with_json
from support.mail_server import mail_server

FOLDER = ROOT / "orchestration" / "airflow"
BIN = ROOT / ".venv-airflow" / "bin"
MAIL_TO = ("one@example.org", "two@example.org")


def module_of_dags(name: str) -> ModuleType:
    """Load a module from the folder of the DAG. The module must not import Airflow."""
    # The folder is not added to the path, because its file value_props.py would hide the package.
    spec = importlib.util.spec_from_file_location(name, FOLDER / "dags" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def needs_airflow() -> None:
    if not (BIN / "airflow").exists():
        pytest.skip("Airflow is not installed (make test installs it into .venv-airflow)")


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
    """Start a PostgreSQL cluster on this machine, and yield its URL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = programs[-1] if programs else shutil.which("initdb")
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    bin_path = Path(found).parent
    # PostgreSQL refuses to run as root.
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    as_user = as_user if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="value_props_pg_") as name:
        folder = Path(name)
        if as_user:
            shutil.chown(folder, "postgres")
        port = free_port()
        # The user postgres may lack permission to read the locale files of this process.
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


@dataclass
class Airflow:
    """A running Airflow, its data, and the messages that it sends.

    Args:
        url: address of its API server.
        environ: environment variables for its command line.
        raw: folder of raw files whose last day is `sunday`.
        out: out path of its runs.
        sunday: the last Sunday before the last Monday 06:00 UTC.
        slack: receiver of its Slack messages.
        mails: the mails that it sent: recipients and text.
    """

    url: str
    environ: dict[str, str]
    raw: Path
    out: Path
    sunday: datetime.date
    slack: Receiver
    mails: list[tuple[list[str], str]]
    token: str = ""

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
        """Wait until a run has ended, and return it."""

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
        """Return the number of task instances in each state, by task."""
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

    def logged(self, text: str) -> bool:
        """Return whether a log file contains the text."""
        logs = (Path(self.environ["AIRFLOW_HOME"]) / "logs").rglob("*.log")
        return any(text in path.read_text("utf-8", errors="replace") for path in logs)

    def asset_events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "/assets/events")["asset_events"]
        return found


def command(environ: Mapping[str, str], *arguments: str) -> None:
    """Run the command `airflow`, and fail with its output if it fails."""
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
    """Write the clean fixture, shifted by whole weeks so that it ends on the given Sunday."""
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


@contextmanager
def running_airflow(folder: Path) -> Iterator[Airflow]:
    """Start Airflow as `make airflow` does. All services that it uses run on this machine."""
    slot = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=6)
    sunday = slot.date() - datetime.timedelta(days=slot.weekday() + 1)
    with ExitStack() as running:
        database = running.enter_context(postgres())
        slack = running.enter_context(receiving())
        slack.answer = with_json(b'{"ok": true}')
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
            # Receivers of the job itself. The job would notify them of each try.
            "VALUE_PROPS_SLACK_WEBHOOK": f"{slack.url}/job",
            "VALUE_PROPS_NOTIFY": f"json://{slack.address}/apprise",
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
        # Airflow then runs the slot of the last Monday at once.
        found.call("PATCH", "/dags/value_props", is_paused=False)
        yield found
    assert up.returncode == 130
    home = environ["AIRFLOW_HOME"]
    assert not [process for process in psutil.process_iter() if _logs_to(home, process)]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def _stop(up: subprocess.Popen[str]) -> None:
    # A terminal sends Ctrl-C to the whole process group too.
    os.killpg(up.pid, signal.SIGINT)
    try:
        up.wait(60)
    finally:
        if up.poll() is None:
            os.killpg(up.pid, signal.SIGINT)
            up.wait(20)


def _logs_to(home: str, process: psutil.Process) -> bool:
    """Return whether a process has files open below AIRFLOW_HOME.

    The environment of a process does not tell, because Airflow overwrites it.
    """
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
