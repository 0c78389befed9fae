"""Tell a Slack channel or another receiver that a run failed, or that runs pass again."""

from __future__ import annotations

import html
import logging
import os
import re
import textwrap
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from value_props.logs import logger
from value_props.parameters import switch_of

SLACK_WEBHOOK = "VALUE_PROPS_SLACK_WEBHOOK"
WEBHOOK = "VALUE_PROPS_WEBHOOK"
NOTIFY_ON_WARN = "VALUE_PROPS_NOTIFY_ON_WARN"
# All receivers together.
LIMIT_SECONDS = 8.0
FINDINGS_SHOWN = 3
SENTENCE_LENGTH = 590
# What Slack takes.
HEADER_LENGTH = 150
SECTION_LENGTH = 3000
# Escaping makes at most five characters of one.
_LINE_LENGTH = SECTION_LENGTH // 5

_EVENTS = {
    "failed": "failed",
    "recovered": "passes again",
    "warned": "passed with warnings",
}
_THREAD_NAME = "value_props_alert"


@dataclass(frozen=True)
class Alert:
    """What is told of a run: these fields are the JSON object that the plain webhook gets.

    Args:
        event: failed; recovered, where the run passed and the run before it did not; or warned.
        run_id: of the run.
        verdict: published or failed.
        is_made_current: whether the stable names show the run.
        first_day: of the report, ISO 8601; None where the run did not come that far.
        last_day: of the report, ISO 8601; None as first_day.
        findings: the first three problems of a failed run or warnings of a published one, a
            sentence of at most 590 characters each.
        more_findings: how many there are beside them.
        page: path of the report page on the machine of the run; None where there is none.
    """

    event: str
    run_id: str
    verdict: str
    is_made_current: bool
    first_day: str | None
    last_day: str | None
    findings: list[str]
    more_findings: int
    page: str | None


@dataclass(frozen=True)
class Delivery:
    """What became of one alert.

    Args:
        variable: the environment variable that names the receiver.
        receiver: scheme, host and port of its URL, the rest of which is secret; empty for no URL.
        fault: why it did not take the alert; None where it did.
    """

    variable: str
    receiver: str
    fault: str | None


def check_settings(environ: Mapping[str, str] = os.environ) -> None:
    """Refuse a variable that cannot be read, before a run begins.

    Raises:
        ValuePropsError: NOTIFY_ON_WARN is neither on nor off.
    """
    switch_of(environ.get(NOTIFY_ON_WARN, ""), f"Environment variable {NOTIFY_ON_WARN}")


def notify(
    report: Mapping[str, Any],
    page: Path | None,
    status_before: str | None,
    environ: Mapping[str, str] = os.environ,
) -> list[Delivery]:
    """Tell whoever is configured of an ended run, if there is something to tell.

    A failed run is told always, a published one where the run before it failed or was killed,
    or where it has warnings and VALUE_PROPS_NOTIFY_ON_WARN is on. It returns within
    LIMIT_SECONDS, whatever the receivers do; what goes wrong is logged and never raised.

    Args:
        report: of the run, as report.schema.json tells. Of a run without one, run.run_id,
            run.status and problems are enough.
        page: the report page, if there is one.
        status_before: of the run recorded before: published, failed or killed; None for the
            first run.
        environ: holds VALUE_PROPS_SLACK_WEBHOOK and VALUE_PROPS_WEBHOOK, the URLs to post to.

    Returns:
        A delivery for each receiver that was to be told.
    """
    try:
        alert = _alert_of(report, page, status_before, environ)
        if alert is None:
            return []
        payloads = {SLACK_WEBHOOK: _slack_message(alert), WEBHOOK: asdict(alert)}
        posts = [
            _Post(variable, environ[variable].strip(), payload)
            for variable, payload in payloads.items()
            if environ.get(variable, "").strip()
        ]
        deliveries = _send(posts)
    except Exception as error:
        # The run has ended and its result stands, so no fault of an alert may be raised.
        logger.warning("step=alert problem=%s", type(error).__name__)
        return []
    for delivery in deliveries:
        fields = f"variable={delivery.variable} receiver={delivery.receiver or 'none'}"
        if delivery.fault is None:
            logger.info("step=alert event=%s %s", alert.event, fields)
        else:
            logger.warning("step=alert event=%s %s problem=%s", alert.event, fields, delivery.fault)
    return deliveries


def _alert_of(
    report: Mapping[str, Any],
    page: Path | None,
    status_before: str | None,
    environ: Mapping[str, str],
) -> Alert | None:
    """What to tell of a run; None where it is nothing."""
    run = report["run"]
    warnings = report.get("warnings", [])
    findings = warnings
    if run["status"] == "failed":
        event, findings = "failed", report["problems"]
    elif status_before in ("failed", "killed"):
        event = "recovered"
    elif warnings and switch_of(environ.get(NOTIFY_ON_WARN, ""), NOTIFY_ON_WARN):
        event = "warned"
    else:
        return None
    window = report.get("window") or {}
    return Alert(
        event=event,
        run_id=run["run_id"],
        verdict=run["status"],
        is_made_current=run.get("is_made_current", False),
        first_day=window.get("first_week_start_date"),
        last_day=window.get("report_end_date"),
        findings=[_shortened(finding, SENTENCE_LENGTH) for finding in findings[:FINDINGS_SHOWN]],
        more_findings=max(0, len(findings) - FINDINGS_SHOWN),
        page=str(page.absolute()) if page else None,
    )


def _slack_message(alert: Alert) -> dict[str, Any]:
    """The alert for Slack: blocks, and all of it as text for what shows no blocks."""
    header = f"value-props {_EVENTS[alert.event]}"
    if alert.first_day:
        header += f": report of {alert.first_day} to {alert.last_day}"
    header = _shortened(header, HEADER_LENGTH)
    lines = [f"• {finding}" for finding in alert.findings]
    if alert.more_findings:
        lines.append(f"and {alert.more_findings} more")
    is_kept_back = alert.verdict == "published" and not alert.is_made_current
    lines.append(f"Run {alert.run_id}: {alert.verdict}{', not current' if is_kept_back else ''}")
    if alert.page:
        lines.append(f"Report: {alert.page}")
    # Sentences quote names out of raw data: none of them may link, or call a channel.
    lines = [html.escape(_shortened(line, _LINE_LENGTH), quote=False) for line in lines]
    return {
        "text": "\n".join([header, *lines]),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": header}},
            *(
                {"type": "section", "text": {"type": "mrkdwn", "text": line, "verbatim": True}}
                for line in lines
            ),
        ],
    }


def _shortened(text: str, length: int) -> str:
    """The text in one line of at most so many characters, cut between words."""
    return textwrap.shorten(text, length, placeholder=" …")


class _Post(threading.Thread):
    """Posts one payload, for as long as it takes; a daemon, so that a run can end without it."""

    def __init__(self, variable: str, url: str, payload: Mapping[str, Any]) -> None:
        super().__init__(name=_THREAD_NAME, daemon=True)
        self.variable = variable
        self.receiver = receiver_of(url)
        self.fault: str | None = "no answer in time"
        self._url = url
        self._payload = payload

    def run(self) -> None:
        if not self.receiver:
            self.fault = "it is no http or https URL"
            return
        try:
            # The body of the answer is not read: it tells nothing and may never end.
            with requests.post(
                self._url,
                json=self._payload,
                timeout=LIMIT_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer:
                is_taken = 200 <= answer.status_code < 300
                self.fault = None if is_taken else f"status {answer.status_code}"
        except Exception as error:
            # Its text holds the URL.
            self.fault = fault_of(error)


def _send(posts: list[_Post]) -> list[Delivery]:
    """Post all at once, and wait for no longer than LIMIT_SECONDS in total."""
    for name in ("connection", "connectionpool", "util.retry"):
        logging.getLogger(f"urllib3.{name}").addFilter(_is_of_another_thread)
    deadline = time.monotonic() + LIMIT_SECONDS
    for post in posts:
        post.start()
    for post in posts:
        post.join(max(0.0, deadline - time.monotonic()))
    return [Delivery(post.variable, post.receiver, post.fault) for post in posts]


def _is_of_another_thread(record: logging.LogRecord) -> bool:
    """Keep lines of urllib3 out of the log where they would tell the URL of a receiver."""
    return record.threadName != _THREAD_NAME


def fault_of(error: Exception) -> str:
    """Why a request failed, without its text, which may quote the URL."""
    is_silent = isinstance(error, requests.ConnectionError | requests.Timeout | TimeoutError)
    return f"it does not answer ({type(error).__name__})" if is_silent else type(error).__name__


def receiver_of(url: str) -> str:
    """Scheme, host and port of a URL, or an empty text if it is no http or https URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    # What is no name of a host may be a secret at a wrong place.
    is_url = parts.scheme in ("http", "https") and re.fullmatch(r"[\w.:-]+", host)
    return f"{parts.scheme}://{host}{port}" if is_url else ""
