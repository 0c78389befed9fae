"""The command `value-props` as the DAG runs it: its arguments, environment, log and report."""

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
# What the command accepts, by name: kind or choices, limits, default, flag and meaning.
PARAMETERS: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "dbt_project.yml").read_text(encoding="utf-8")
)["vars"]["parameters"]
# Late data may come, a lock is freed, a disk is cleared.
RETRIED = (1, 3, 4)
# The DAG tells of a failure once, after the last try; the job would tell of each try.
_NOTIFY = "VALUE_PROPS_NOTIFY"
_RECEIVERS = (_NOTIFY, "VALUE_PROPS_SLACK_WEBHOOK", "VALUE_PROPS_WEBHOOK")
_START = re.compile(r"step=start run_id=(\S+)")
_SECONDS_TO_END = 4
# Of the command that reads a report, which may lie in a bucket, and tells of it.
_SECONDS_TO_TELL = 120


@dataclass(frozen=True)
class Settings:
    """What the environment of Airflow says of the DAG.

    Args:
        command: to run, with its first arguments.
        schedule: a key of SCHEDULES.
        as_of: cut-off of scheduled and manual runs that name none, or empty.
        raw: where the raw files are.
        out: where to publish.
        retries: of a failed build.
        retry_delay: before the first of them; each next one waits twice as long.
        timeout: of a build.
        recipients: of mails.
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
        """URI of the published mart; in a bucket a name, and manifest.json says where it is."""
        out = self.out if "://" in self.out else (ROOT / self.out).as_uri()
        return f"{out.rstrip('/')}/final.parquet"


def settings_of(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        ValueError: one is not allowed; Airflow shows it as the import error of the DAG.
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
    """The as_of_date of a run: empty leaves it to the job.

    A scheduled run names the Sunday before it, so that data which is late is an error, where
    the job itself would take the last week that is there.

    Args:
        run_type: scheduled, backfill or manual.
        logical_date: of the run; a manual one has none.
        asked: the parameter as_of_date, which may be the default.
        conf: what the run was given by hand.
        settings: of the DAG.
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
    """The default and the JSON Schema of a parameter, as the form of the DAG takes them.

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
    """The arguments of `value-props build`; each value shares its argument with its flag."""
    arguments = []
    for name, value in params.items():
        flag = PARAMETERS.get(name, {}).get("flag", f"--{name.replace('_', '-')}")
        if value is True:
            arguments.append(flag)
        elif isinstance(value, float):
            # Never as 2e-05.
            arguments.append(f"{flag}={Decimal(str(value)):f}")
        elif value is not False and value not in (None, ""):
            arguments.append(f"{flag}={value}")
    return arguments


def environment_of(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the job: that of Airflow, without its secrets and the job's alerts."""
    hidden = ("AIRFLOW", *_RECEIVERS)
    return {name: text for name, text in environ.items() if not name.startswith(hidden)}


def alert_environment_of(environ: Mapping[str, str], urls: Sequence[str]) -> dict[str, str]:
    """The environment of the command that tells of a failure: with its receivers.

    Args:
        environ: of Airflow.
        urls: of apprise, to be told beside those that the environment names.
    """
    receivers = {name: environ[name] for name in _RECEIVERS if name in environ}
    receivers[_NOTIFY] = " ".join([receivers.get(_NOTIFY, ""), *urls])
    return environment_of(environ) | receivers


@dataclass(frozen=True)
class Failure:
    """A build that failed.

    Args:
        exit_code: of the command, negative for a signal; None where the command did not end.
        run_id: that it gave itself; None where it began no run.
        out: where it was to publish; empty leaves it to the command.
    """

    exit_code: int | None = None
    run_id: str | None = None
    out: str = ""


@dataclass
class Job:
    """A run of the command.

    Args:
        command: with its first arguments.
        environ: of the process.
        log: is given each line of its output.
        run_id: that it gave itself; None before it began.
    """

    command: Sequence[str]
    # It holds secrets.
    environ: Mapping[str, str] = field(repr=False)
    log: Callable[[str], None]
    run_id: str | None = None
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def build(self, arguments: Sequence[str]) -> int:
        """Run `value-props build` to its end.

        Returns:
            Its exit code; negative is the signal that killed it.

        Raises:
            OSError: there is no such command.
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
        """End the process, if it runs: what it published stays as it is."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()

    def report(self, run_id: str, out: str) -> dict[str, Any]:
        """The facts of an ended run, as report.schema.json describes them; empty if unknown."""
        answer = self._ended("report", run_id, f"--out={out}")
        if answer.returncode:
            self.log(answer.stderr.strip())
            return {}
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def notify(self, failure: Failure, lines: Sequence[str]) -> None:
        """Tell the receivers in the environment that the build failed, and log what came of it.

        Raises:
            OSError: there is no such command.
            subprocess.TimeoutExpired: it did not end.
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
    """What became of each node of dbt, to be shown as a task each.

    Args:
        report: of a run; may be empty.
        out: where it published.

    Returns:
        models (with seeds and snapshots) and tests, in the order of the report: name, status,
        and `lines` to log.
    """
    datasets = report.get("datasets", [])
    run = report.get("run", {})
    folder = "last_run" if run.get("status") == "failed" else f"runs/{run.get('run_id')}"
    database = f"{out.rstrip('/')}/{folder}/value_props.duckdb"
    # A test of several tables stands below each of them.
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
