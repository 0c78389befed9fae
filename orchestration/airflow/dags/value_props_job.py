"""Run the command `value-props` for the DAG: its arguments, environment, log and report."""

from __future__ import annotations

import datetime
import json
import re
import shlex
import subprocess  # nosec B404
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
SCHEDULES = {"weekly": "0 6 * * 1", "quick": "*/5 * * * *", "none": None}
# Parameters of the command, by name: kind or choices, limits, default, flag and meaning.
PARAMETERS: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "dbt_project.yml").read_text(encoding="utf-8")
)["vars"]["parameters"]
# Exit codes worth a retry: late data may arrive, a lock may end, a disk may get space.
RETRIED = (1, 3, 4)
# The job does not get these variables, because it would send an alert for each failed try. The
# DAG sends one alert after the last try.
_NOTIFY = "VALUE_PROPS_NOTIFY"
_RECEIVERS = (_NOTIFY, "VALUE_PROPS_SLACK_WEBHOOK", "VALUE_PROPS_WEBHOOK")
_START = re.compile(r"step=start run_id=(\S+)")
_SECONDS_TO_END = 4
# Seconds for `value-props notify`, which may have to read the report from a bucket.
_SECONDS_TO_TELL = 120


@dataclass(frozen=True)
class Settings:
    """The settings of the DAG from the environment of Airflow.

    Args:
        command: the command `value-props`, possibly with first arguments.
        schedule: a key of SCHEDULES.
        as_of: default cut-off of scheduled and manual runs, YYYY-MM-DD; empty for none.
        raw: path or address of the raw files.
        out: path or address to publish to.
        retries: number of retries of a failed build.
        retry_delay: wait before the first retry. It doubles for each further retry.
        timeout: longest time of one try of a build.
        recipients: mail addresses that receive alerts; empty for no mail.
    """

    command: tuple[str, ...]
    schedule: str
    as_of: str
    raw: str
    out: str
    retries: int
    retry_delay: datetime.timedelta
    timeout: datetime.timedelta
    recipients: tuple[str, ...]

    @property
    def final_parquet(self) -> str:
        """URI of the published mart. In a bucket it is only a name: manifest.json has the path."""
        out = self.out if "://" in self.out else (ROOT / self.out).as_uri()
        return f"{out.rstrip('/')}/final.parquet"


def settings_of(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        ValueError: a setting is not valid. Airflow shows it as an import error of the DAG.
    """
    schedule = environ.get("VALUE_PROPS_SCHEDULE", "").strip() or "weekly"
    if schedule not in SCHEDULES:
        raise ValueError(
            f"VALUE_PROPS_SCHEDULE: '{schedule}' is not allowed."
            f" Allowed is one of {', '.join(SCHEDULES)}."
        )
    return Settings(
        command=tuple(
            shlex.split(environ.get("VALUE_PROPS_COMMAND", ""))
            or [str(ROOT / ".venv" / "bin" / "value-props")]
        ),
        schedule=schedule,
        as_of=environ.get("VALUE_PROPS_AS_OF", "").strip(),
        raw=environ.get("VALUE_PROPS_RAW", "").strip() or "data/raw",
        out=environ.get("VALUE_PROPS_OUT", "").strip() or "data/out",
        retries=_whole(environ, "VALUE_PROPS_RETRIES", 3),
        retry_delay=datetime.timedelta(
            seconds=_whole(environ, "VALUE_PROPS_RETRY_SECONDS", 30 * 60)
        ),
        timeout=datetime.timedelta(
            seconds=_whole(environ, "VALUE_PROPS_TIMEOUT_SECONDS", 6 * 60 * 60)
        ),
        recipients=tuple(filter(None, re.split(r"[,\s]+", environ.get("VALUE_PROPS_MAIL_TO", "")))),
    )


def _whole(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip() or str(default)
    if not re.fullmatch(r"[0-9]{1,7}", text):
        raise ValueError(f"{name}: '{text}' is not allowed. Allowed is a whole number.")
    return int(text)


def cut_off(
    run_type: str,
    logical_date: datetime.datetime | None,
    asked: str,
    conf: Mapping[str, Any],
    settings: Settings,
) -> str:
    """Return the as_of_date of a run; empty if the job chooses it.

    A weekly or backfill run names the Sunday before it, so that late data is an error. Without a
    date, the job would take the last week in the data.

    Args:
        run_type: Airflow's type of the run: scheduled, backfill or manual.
        logical_date: logical date of the run; None for a manual run without one.
        asked: the parameter as_of_date, which may be the default.
        conf: parameters that the user set for this run.
        settings: settings of the DAG.
    """
    if conf.get("as_of_date"):
        return str(conf["as_of_date"])
    is_of_its_week = run_type == "backfill" or (
        run_type == "scheduled" and settings.schedule == "weekly" and not settings.as_of
    )
    if is_of_its_week and logical_date is not None:
        return (logical_date.date() - datetime.timedelta(days=1)).isoformat()
    return asked


def form_field(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default and the JSON Schema of a parameter for the form of the DAG.

    Args:
        rule: a value of PARAMETERS.
    """
    default = rule.get("default", "")
    if "choices" in rule:
        return {"default": default, "enum": rule["choices"]}
    if rule["kind"] == "switch":
        return {"default": default == "true", "type": "boolean"}
    if rule["kind"] == "date":
        pattern = "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$"
        return {"default": default, "type": "string", "pattern": pattern}
    limits = {"minimum": rule["from"], "maximum": rule["to"]}
    if rule["kind"] == "integer":
        return {"default": int(default), "type": "integer", **limits}
    return {"default": float(default), "type": "number", **limits}


def arguments_of(params: Mapping[str, Any]) -> list[str]:
    """Return the arguments of `value-props build`, each written as flag=value or as a switch."""
    arguments = []
    for name, value in params.items():
        flag = PARAMETERS.get(name, {}).get("flag", f"--{name.replace('_', '-')}")
        if value is True:
            arguments.append(flag)
        elif isinstance(value, float):
            # Write all digits, never 2e-05.
            arguments.append(f"{flag}={Decimal(str(value)):f}")
        elif value is not False and value not in (None, ""):
            arguments.append(f"{flag}={value}")
    return arguments


def environment_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return Airflow's environment without the secrets in AIRFLOW* and without the receivers."""
    hidden = ("AIRFLOW", *_RECEIVERS)
    return {name: text for name, text in environ.items() if not name.startswith(hidden)}


def alert_environment_of(environ: Mapping[str, str], urls: Sequence[str]) -> dict[str, str]:
    """Return the environment of `value-props notify`, which includes the receivers.

    Args:
        environ: environment of Airflow.
        urls: Apprise URLs to add to those in the environment.
    """
    receivers = {name: environ[name] for name in _RECEIVERS if name in environ}
    receivers[_NOTIFY] = " ".join([receivers.get(_NOTIFY, ""), *urls])
    return environment_of(environ) | receivers


@dataclass(frozen=True)
class Failure:
    """A build that failed.

    Args:
        exit_code: exit code of the command, negative if a signal killed it; None if unknown.
        run_id: id that the run chose; None if the command began no run.
        out: path or address to publish to; empty for the default of the command.
    """

    exit_code: int | None = None
    run_id: str | None = None
    out: str = ""


@dataclass
class Job:
    """A run of the command.

    Args:
        command: the command, possibly with first arguments.
        environ: environment of its process.
        log: called with each line of its output.
        run_id: id that the run chose; None before it began.
    """

    command: Sequence[str]
    # The repr leaves the environment out, because it contains secrets.
    environ: Mapping[str, str] = field(repr=False)
    log: Callable[[str], None]
    run_id: str | None = None
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def build(self, arguments: Sequence[str]) -> int:
        """Run `value-props build` to its end.

        Returns:
            Its exit code, negative if a signal killed it.

        Raises:
            OSError: the command cannot be started.
        """
        self._process = subprocess.Popen(  # nosec B603
            [*self.command, "build", *arguments],
            cwd=ROOT,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            encoding="utf-8",
        )
        try:
            for line in self._process.stdout or ():
                self.log(line.rstrip("\n"))
                found = _START.search(line)
                if found and self.run_id is None:
                    self.run_id = found[1]
            return self._process.wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, if it runs. Published files stay as they are."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()

    def report(self, run_id: str, out: str) -> dict[str, Any]:
        """Return the report of an ended run, as in report.schema.json; empty if there is none."""
        answer = self._ended("report", run_id, f"--out={out}")
        if answer.returncode:
            self.log(answer.stderr.strip())
            return {}
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def notify(self, failure: Failure, lines: Sequence[str]) -> None:
        """Send alerts about a failed build to the receivers in the environment. Log the result.

        Args:
            failure: the failed build.
            lines: lines to add to the message.

        Raises:
            OSError: the command cannot be started.
            subprocess.TimeoutExpired: the command took longer than _SECONDS_TO_TELL.
        """
        arguments = [f"--line={line}" for line in lines]
        if failure.exit_code is not None:
            arguments.append(f"--exit-code={failure.exit_code}")
        if failure.out:
            arguments.append(f"--out={failure.out}")
        if failure.run_id:
            arguments.append(failure.run_id)
        answer = self._ended("notify", *arguments, timeout=_SECONDS_TO_TELL)
        for line in (answer.stdout + answer.stderr).splitlines():
            self.log(line)

    def _ended(
        self, *arguments: str, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # nosec B603
            [*self.command, *arguments],
            cwd=ROOT,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            errors="replace",
            check=False,
            encoding="utf-8",
            timeout=timeout,
        )


def nodes_of(report: Mapping[str, Any], out: str) -> dict[str, list[dict[str, Any]]]:
    """Return the result of each dbt node, for which the DAG shows one task each.

    Args:
        report: report of a run; may be empty.
        out: path or address that the run published to.

    Returns:
        Lists under the keys models (with seeds and snapshots) and tests, in the order of the
        report. Each entry has name, status and `lines` to log.
    """
    datasets = report.get("datasets", [])
    run = report.get("run", {})
    folder = "last_run" if run.get("status") == "failed" else f"runs/{run.get('run_id')}"
    database = f"{out.rstrip('/')}/{folder}/value_props.duckdb"
    # The report lists a test of several tables under each of them. Show it once.
    tests = {test["name"]: test for dataset in datasets for test in dataset["tests"]}
    return {
        "models": [
            _node(dataset, [f"Rows: {dataset['rows']['read']}"])
            for dataset in datasets
            if dataset["kind"] != "source"
        ],
        "tests": [
            _node(
                test,
                [
                    f"Judges: {test['model_name']}",
                    f"Failures: {test['failures']} (severity {test['severity']})",
                    test["message"],
                    f"Failing rows: `{test['query']}` in {database}" if test["query"] else "",
                ],
            )
            for test in tests.values()
        ],
    }


def _node(found: Mapping[str, Any], lines: Sequence[str]) -> dict[str, Any]:
    head = [f"{found['name']}: {found['status']}", f"Seconds: {found['seconds'] or 0:.2f}"]
    told = [line for line in (*head, *lines, found["description"]) if line]
    return {"name": found["name"], "status": found["status"], "lines": told}
