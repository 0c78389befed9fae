"""How the DAG calls the job; no Airflow is needed for it."""

from __future__ import annotations

import datetime
import os
import signal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support.airflow import module_of_dags, wait_for

from value_props.cli.program import cli
from value_props.parameters import PARAMETERS, check_parameters
from value_props.publish.places import Place

job = module_of_dags("value_props_job")
MONDAY = datetime.datetime(2020, 11, 16, 6, tzinfo=datetime.UTC)


def settings(**environ: str) -> Any:
    return job.settings_of(environ)


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
        "serving_features": True,
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
    texts = {p.name: context.params[p.name] for p in PARAMETERS if not p.is_switch}
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
        "VALUE_PROPS_NOTIFY": "h",
        "VALUE_PROPS_NOTIFY_ON_WARN": "i",
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
