"""Metrics of the last ended run for Prometheus, as a text and pushed to a Pushgateway."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import requests
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from value_props.logs import logger
from value_props.notify.receivers import fault_of, receiver_of

PUSHGATEWAY = "VALUE_PROPS_PUSHGATEWAY"
PUSH_SECONDS = 10.0

_RUN_STATUSES = ("published", "failed")
_TEST_STATUSES = ("pass", "warn", "fail", "error", "skipped")
_DRIFT_STATUSES = ("pass", "warn", "unknown")


def text_of(report: Mapping[str, Any], shown_before: Mapping[str, Any] | None) -> str:
    """Return the metrics of an ended run in the text format of Prometheus.

    Labels hold only names of this project (steps, sources, reasons, statuses), never raw data.

    Args:
        report: report of the run, as in report.schema.json.
        shown_before: report of the run that was current before; None if there was none. The
            metrics of published data describe it, unless the ended run was made current.

    Returns:
        One gauge for each fact. Times are seconds since 1970 (UTC). Unknown facts are left out.
    """
    registry = CollectorRegistry()
    _add_run(registry, report)
    _add_rows(registry, report)
    _add_checks(registry, report)
    shown = report if report["run"]["is_made_current"] else shown_before
    if shown is not None:
        _add_published(registry, shown)
    return generate_latest(registry).decode()


def push(text: str, environ: Mapping[str, str]) -> None:
    """Replace the metrics at the Pushgateway, if the environment names one.

    It takes at most PUSH_SECONDS. A failure is only logged as a warning.

    Args:
        text: the metrics from text_of.
        environ: environment variables. VALUE_PROPS_PUSHGATEWAY is the URL of the Pushgateway and
            may contain credentials.
    """
    url = environ.get(PUSHGATEWAY)
    if not url:
        return
    answer: Future[None] = Future()

    def put() -> None:
        try:
            _put(text, url)
            answer.set_result(None)
        except Exception as error:
            answer.set_exception(error)

    receiver = receiver_of(url) or "unreadable"
    # The timeout of requests restarts with each byte and does not cover the DNS look-up. So the
    # limit is applied here, and a daemon thread that hangs does not keep the process alive.
    threading.Thread(target=put, daemon=True).start()
    try:
        answer.result(PUSH_SECONDS)
    except Exception as error:
        # The text of an error may quote the URL, so only the status or the type is logged.
        status = error.response.status_code if isinstance(error, requests.HTTPError) else None
        logger.warning(
            "step=push target=%s problem=the metrics were not pushed: %s",
            receiver,
            f"status {status}" if status else fault_of(error),
        )
    else:
        logger.info("step=push target=%s", receiver)


def _put(text: str, url: str) -> None:
    with requests.put(
        f"{url.rstrip('/')}/metrics/job/value_props",
        data=text.encode(),
        headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4},
        timeout=PUSH_SECONDS,
        allow_redirects=False,
        stream=True,
    ) as response:
        if not 200 <= response.status_code < 300:
            raise requests.HTTPError(response=response)


def _add_run(registry: CollectorRegistry, report: Mapping[str, Any]) -> None:
    run = report["run"]
    statuses = {status: status == run["status"] for status in _RUN_STATUSES}
    _gauge_by(registry, "run_status", "1 for the status of the last run.", "status", statuses)
    _gauge(registry, "run_exit_code", "Exit code of the last run.", run["exit_code"])
    started, ended = _seconds_of(run["started_at"]), _seconds_of(run["ended_at"])
    _gauge(registry, "run_start_timestamp_seconds", "When the last run began.", started)
    _gauge(registry, "run_end_timestamp_seconds", "When the last run ended.", ended)
    _gauge(registry, "run_duration_seconds", "Wall time of the last run.", ended - started)
    _gauge_by(
        registry,
        "run_step_duration_seconds",
        "Wall time of each step; dbt_models and dbt_tests are sums over threads.",
        "step",
        report["seconds"],
    )


def _add_rows(registry: CollectorRegistry, report: Mapping[str, Any]) -> None:
    rows = Gauge(
        "value_props_source_rows",
        "Rows of a raw source: read = kept + quarantined.",
        ["source", "outcome"],
        registry=registry,
    )
    quarantined = Gauge(
        "value_props_source_quarantined_rows",
        "Quarantined rows of a raw source by the first rule that they broke.",
        ["source", "reason"],
        registry=registry,
    )
    for source in report["datasets"]:
        if source["kind"] != "source":
            continue
        for outcome, count in source["rows"].items():
            if count is not None:
                rows.labels(source["name"], outcome).set(count)
        for entry in source["quarantine"]:
            quarantined.labels(source["name"], entry["reason"]).set(entry["rows"])
    if report["rows_in_mart"] is not None:
        _gauge(registry, "mart_rows", "Rows of fct_prints.", report["rows_in_mart"])
    # Reports of earlier versions lack the rows of the features.
    if report.get("rows_in_features") is not None:
        rows_in_features = report["rows_in_features"]
        _gauge(registry, "feature_rows", "Rows of fct_user_features.", rows_in_features)
        skewed = sum(row["skewed_prints"] for row in report["feature_skew"])
        meaning = "Prints whose features differ from those published before: skew by late data."
        _gauge(registry, "feature_skewed_prints", meaning, skewed)


def _add_checks(registry: CollectorRegistry, report: Mapping[str, Any]) -> None:
    tests = {status: report["tests"].get(status, 0) for status in _TEST_STATUSES}
    _gauge_by(registry, "tests", "Data tests by status.", "status", tests)
    found = [row["status"] for row in report["drift"]]
    drift = {status: found.count(status) for status in _DRIFT_STATUSES}
    _gauge_by(registry, "drift_checks", "Drift checks by status.", "status", drift)
    for name in ("problems", "warnings"):
        _gauge(registry, f"run_{name}", f"How many {name} the last run told.", len(report[name]))


def _add_published(registry: CollectorRegistry, report: Mapping[str, Any]) -> None:
    published = _seconds_of(report["run"]["ended_at"])
    _gauge(registry, "published_timestamp_seconds", "When the current run ended.", published)
    _gauge(
        registry,
        "published_data_end_timestamp_seconds",
        "End of the last day that the data of the current run reaches.",
        _end_of_day(report["window"]["as_of_date"]),
    )
    _gauge(
        registry,
        "published_week_end_timestamp_seconds",
        "End of the last report week of the current run.",
        _end_of_day(report["window"]["report_end_date"]),
    )


def _gauge(registry: CollectorRegistry, name: str, meaning: str, value: float) -> None:
    Gauge(f"value_props_{name}", meaning, registry=registry).set(value)


def _gauge_by(
    registry: CollectorRegistry, name: str, meaning: str, label: str, values: Mapping[str, float]
) -> None:
    gauge = Gauge(f"value_props_{name}", meaning, [label], registry=registry)
    for key, value in values.items():
        gauge.labels(key).set(value)


def _seconds_of(time: str) -> float:
    return datetime.datetime.fromisoformat(time).timestamp()


def _end_of_day(date: str) -> float:
    midnight = datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.UTC)
    return (midnight + datetime.timedelta(days=1)).timestamp()
