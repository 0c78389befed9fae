"""Build and publish the value props of the last week, every Monday."""

from __future__ import annotations

import datetime
import logging
import os
from typing import Any

import value_props_alert
from airflow.sdk import (
    DAG,
    Asset,
    BaseOperator,
    CronTriggerTimetable,
    Param,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)
from value_props_job import (
    PARAMETERS,
    RETRIED,
    SCHEDULES,
    Failure,
    Job,
    arguments_of,
    cut_off,
    environment_of,
    form_field,
    nodes_of,
    settings_of,
)

SETTINGS = settings_of(os.environ)
CRON = SCHEDULES[SETTINGS.schedule]
FINAL = Asset(name="value_props", uri=SETTINGS.final_parquet)
# Airflow writes the lines of loggers below "airflow.task" to the log of the task.
logger = logging.getLogger("airflow.task.value_props")


def _job() -> Job:
    return Job(SETTINGS.command, environment_of(os.environ), lambda line: logger.info("%s", line))


class BuildOperator(BaseOperator):
    """Runs `value-props build`. Returns its run_id, its out path and whether it became current."""

    _job: Job | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        dag_run, params = context["dag_run"], dict(context["params"])
        params["as_of_date"] = cut_off(
            str(dag_run.run_type.value),
            dag_run.logical_date,
            params["as_of_date"],
            dag_run.conf or {},
            SETTINGS,
        )
        self._job = job = _job()
        arguments = arguments_of(params)
        logger.info("value-props build %s", " ".join(arguments))
        try:
            exit_code = job.build(arguments)
        except OSError as error:
            raise AirflowFailException(
                f"{SETTINGS.command[0]} cannot be started ({error.strerror})."
                " Run `make build`, or set VALUE_PROPS_COMMAND."
            ) from error
        report = job.report(job.run_id, params["out"]) if job.run_id else {}
        # Push the run_id here, because the tasks for models and tests also need it if the
        # build failed.
        context["ti"].xcom_push("run_id", job.run_id)
        if exit_code:
            is_tried_again = exit_code in RETRIED or exit_code < 0
            error = (AirflowException if is_tried_again else AirflowFailException)(
                f"value-props build ended with exit code {exit_code}; its output above says why"
            )
            error.failure = Failure(exit_code, job.run_id, params["out"])
            raise error
        return {
            "run_id": job.run_id,
            "out": params["out"],
            "is_current": report.get("run", {}).get("is_made_current"),
        }

    def on_kill(self) -> None:
        if self._job is not None:
            self._job.stop()


def _nodes(kind: str) -> list[dict[str, Any]]:
    context = get_current_context()
    run_id = context["ti"].xcom_pull(task_ids="build", key="run_id")
    out = context["params"]["out"]
    report = _job().report(run_id, out) if run_id else {}
    return nodes_of(report, out)[kind]


# These are two tasks, because Airflow can only map over the whole result of a task.
@task(trigger_rule="all_done")
def models() -> list[dict[str, Any]]:
    """Lists the result of each model in the last try, also if the build failed."""
    return _nodes("models")


@task(trigger_rule="all_done")
def tests() -> list[dict[str, Any]]:
    """Lists the result of each test in the last try, also if the build failed."""
    return _nodes("tests")


def _show(node: dict[str, Any]) -> None:
    context = get_current_context()
    context["node_name"] = node["name"]  # type: ignore[typeddict-unknown-key]
    for line in node["lines"]:
        logger.info("%s", line)
    if node["status"] == "skipped":
        raise AirflowSkipException("dbt skipped it, since what it reads failed")
    if node["status"] not in ("success", "pass", "warn"):
        raise AirflowFailException(node["lines"][0])


@task(map_index_template="{{ node_name }}")
def model(node: dict[str, Any]) -> None:
    """Shows the result of one model, seed or snapshot."""
    _show(node)


@task(map_index_template="{{ node_name }}")
def test(node: dict[str, Any]) -> None:
    """Shows the result of one test."""
    _show(node)


@task(outlets=[FINAL])
def final_parquet(built: dict[str, Any]) -> None:
    """Updates the asset, if the run became current."""
    context = get_current_context()
    if built["is_current"] is None:
        raise AirflowFailException(f"There is no report of run {built['run_id']}")
    if not built["is_current"]:
        raise AirflowSkipException("The published week is newer: the run is kept, not current")
    if built["out"] != SETTINGS.out:
        raise AirflowSkipException(f"The run published to {built['out']}, which is not the asset")
    context["outlet_events"][FINAL].extra = {"run_id": built["run_id"]}


def _tell(context: Any) -> None:
    value_props_alert.tell(context, SETTINGS)


with DAG(
    "value_props",
    description="Build and publish which value props were shown, clicked and paid with",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(CRON, timezone="UTC") if CRON else None,
    start_date=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    catchup=False,
    max_active_runs=1,
    tags=["value-props"],
    params={
        **{
            name: Param(title=name, description=rule["meaning"], **form_field(rule))
            for name, rule in PARAMETERS.items()
        },
        "as_of_date": Param(
            title="as_of_date",
            description=f"{PARAMETERS['as_of_date']['meaning']} Of a scheduled run: the Sunday"
            " before it.",
            **{**form_field(PARAMETERS["as_of_date"]), "default": SETTINGS.as_of},
        ),
        "raw": Param(SETTINGS.raw, type="string", description="Where the raw files are."),
        "out": Param(SETTINGS.out, type="string", description="Where to publish."),
        "make_current": Param(
            False,
            type="boolean",
            description="Make the run current, even if the current one has a newer week.",
        ),
    },
):
    build = BuildOperator(
        task_id="build",
        pool="value_props",
        retries=SETTINGS.retries,
        retry_delay=SETTINGS.retry_delay,
        retry_exponential_backoff=2.0,
        execution_timeout=SETTINGS.timeout,
        on_failure_callback=_tell,
    )
    found_models, found_tests = models(), tests()
    build >> [found_models, found_tests]
    model.expand(node=found_models)
    test.expand(node=found_tests)
    final_parquet(build.output)
