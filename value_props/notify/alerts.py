"""Write the alerts for chat, mail and webhooks: a run failed, recovered or has warnings.

The sentences on what is wrong come from run/gate.py and run/failed_run.py. alert_sender.py sends
the alerts.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess  # nosec B404
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from value_props.errors import ExitCode, ValuePropsError
from value_props.logs import logger
from value_props.notify.receivers import receiver_of
from value_props.parameters import switch_of

NOTIFY = "VALUE_PROPS_NOTIFY"
SLACK_WEBHOOK = "VALUE_PROPS_SLACK_WEBHOOK"
WEBHOOK = "VALUE_PROPS_WEBHOOK"
NOTIFY_ON_WARN = "VALUE_PROPS_NOTIFY_ON_WARN"
# Seconds for all receivers together.
LIMIT_SECONDS = 8.0
SILENT = "no answer in time"
FINDINGS_SHOWN = 3
SENTENCE_LENGTH = 590
# The limits of Slack, in characters.
HEADER_LENGTH = 150
SECTION_LENGTH = 3000
# Escaping turns one character into at most five.
_LINE_LENGTH = SECTION_LENGTH // 5

_EVENTS = {
    "failed": "failed",
    "recovered": "passes again",
    "warned": "passed with warnings",
}
# The message types of Apprise. Some receivers show them as colours.
_KINDS = {"failed": "failure", "recovered": "success", "warned": "warning"}
# Fields that the JSON object for the plain webhook omits if they are empty.
_ADDED = ("reason", "notes")
_MEANINGS: dict[int, str] = {
    ExitCode.GATE_FAILED: "the data failed the gate",
    ExitCode.CANNOT_RUN: "it cannot run",
    ExitCode.LOCKED: "another run holds the lock",
    ExitCode.NOT_PUBLISHED: "it passed but was not published",
}
# Each match begins a mention, a link, a tag or an entity for at least one receiver.
_MARKUP = re.compile(r"[@#~<&:\]](?=\S)|\bwww(?=\.)", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"


@dataclass(frozen=True)
class Alert:
    """The content of an alert. The plain webhook receives these fields as a JSON object.

    Args:
        event: failed; recovered, if the run passed and the previous one did not; or warned.
        run_id: id of the run; None if a scheduler reports a build that began no run.
        verdict: published or failed.
        is_made_current: whether the stable names point to the run.
        first_day: first day of the report, ISO 8601; None if the run failed before it was known.
        last_day: last day of the report, ISO 8601; None like first_day.
        findings: up to three problems of a failed run, or warnings of a published one. Each is a
            sentence of at most 590 characters.
        more_findings: number of findings that are not listed.
        page: path of the report page on the machine of the run; None if there is no page.
        reason: meaning of the exit code, if a scheduler passed it. Otherwise the JSON object omits
            the field.
        notes: lines that a scheduler adds. The JSON object omits an empty list.
    """

    event: str
    run_id: str | None
    verdict: str
    is_made_current: bool
    first_day: str | None
    last_day: str | None
    findings: list[str]
    more_findings: int
    page: str | None
    reason: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Delivery:
    """The result of sending an alert to one receiver.

    Args:
        variable: the environment variable that names the receiver.
        receiver: scheme, host and port of the webhook's URL, because the rest is secret; empty if
            the URL is not valid. For VALUE_PROPS_NOTIFY: number of the entry, from 1, and scheme.
        fault: why the receiver did not accept the alert; None if it did.
    """

    variable: str
    receiver: str
    fault: str | None


def check_settings(environ: Mapping[str, str] = os.environ) -> None:
    """Check the variables before a run begins.

    Raises:
        ValuePropsError: NOTIFY_ON_WARN is neither on nor off, or an entry of NOTIFY is not an
            Apprise URL. The error gives the entry's number and scheme, because the rest is secret.
    """
    switch_of(environ.get(NOTIFY_ON_WARN, ""), f"Environment variable {NOTIFY_ON_WARN}")
    urls = environ.get(NOTIFY, "").split()
    if not urls:
        return
    # An entry that was not checked in time is accepted, because no fault of it is known.
    refused = [
        f"Entry {number} of {len(urls)} ({scheme or 'no scheme that is known'}): {fault}"
        for number, (scheme, fault) in enumerate(_answers([(url, None) for url in urls]), 1)
        if fault not in (None, SILENT)
    ]
    if refused:
        raise ValuePropsError(
            "it cannot be read",
            f"Environment variable {NOTIFY}",
            "Write one or several URLs of apprise, such as mailtos://user:password@host, with white"
            " space between them",
            details=refused,
        )


def notify(
    report: Mapping[str, Any],
    page: Path | None,
    status_before: str | None,
    environ: Mapping[str, str] = os.environ,
) -> list[Delivery]:
    """Send an alert about an ended run, if the run calls for one.

    A failed run always does. A published run does if the previous run failed or was killed, or if
    it has warnings and VALUE_PROPS_NOTIFY_ON_WARN is on. The function returns within LIMIT_SECONDS,
    even if receivers hang. It logs errors and raises none.

    Args:
        report: report of the run, as in report.schema.json. If the run has no report: a mapping
            with run.run_id, run.status and problems.
        page: path of the report page; None if there is no page.
        status_before: status of the previous recorded run: published, failed or killed; None for
            the first run.
        environ: environment variables. VALUE_PROPS_NOTIFY holds Apprise URLs;
            VALUE_PROPS_SLACK_WEBHOOK and VALUE_PROPS_WEBHOOK hold URLs to post to.

    Returns:
        A delivery for each receiver; empty if no alert was sent.
    """
    try:
        event = _event_of(report, status_before, environ)
        return _send(_alert_of(event, report, page), environ) if event else []
    except Exception as error:
        # The run has ended, and a failed alert must not change its result.
        logger.warning("step=alert problem=%s", type(error).__name__)
        return []


def notify_of_failure(
    report: Mapping[str, Any],
    page: Path | None,
    exit_code: int | None,
    notes: Sequence[str],
    environ: Mapping[str, str] = os.environ,
) -> list[Delivery]:
    """Send an alert about a failed build on behalf of a scheduler.

    The scheduler hides the receivers from its builds, so the builds themselves send no alerts.

    Args:
        report: as for notify; run.run_id is None if no run began.
        page: path of the report page; None if there is no page.
        exit_code: exit code of the build, negative if a signal killed it; None if unknown.
        notes: lines to add to the message.
        environ: as for notify.

    Returns:
        A delivery for each receiver, within LIMIT_SECONDS.
    """
    reason = None
    if exit_code is not None:
        meaning = "it was killed" if exit_code < 0 else _MEANINGS.get(exit_code, "unknown")
        reason = f"{meaning} (exit {exit_code})"
    lines = [_shortened(note, SENTENCE_LENGTH) for note in notes]
    alert = replace(_alert_of("failed", report, page), reason=reason, notes=lines)
    return _send(alert, environ)


def _event_of(
    report: Mapping[str, Any], status_before: str | None, environ: Mapping[str, str]
) -> str | None:
    """Return the event of an alert, or None if the run calls for no alert."""
    if report["run"]["status"] == "failed":
        return "failed"
    if status_before in ("failed", "killed"):
        return "recovered"
    is_asked = switch_of(environ.get(NOTIFY_ON_WARN, ""), NOTIFY_ON_WARN)
    return "warned" if is_asked and report.get("warnings") else None


def _alert_of(event: str, report: Mapping[str, Any], page: Path | None) -> Alert:
    run = report["run"]
    findings = report["problems"] if event == "failed" else report.get("warnings", [])
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


def _send(alert: Alert, environ: Mapping[str, str]) -> list[Delivery]:
    """Send the alert to each receiver that the environment names, and log the results."""
    payloads = {SLACK_WEBHOOK: _slack_message(alert), WEBHOOK: _json_object(alert)}
    webhooks = {name: url for name in payloads if (url := environ.get(name, "").strip())}
    urls = environ.get(NOTIFY, "").split()
    if not webhooks and not urls:
        return []
    findings, facts = _lines(alert)
    answers = _answers(
        [
            *((url, payloads[name]) for name, url in webhooks.items()),
            *((url, None) for url in urls),
        ],
        title=_header(alert),
        # Findings quote names from raw data, which must not become links or mentions.
        body="\n".join([*map(_without_markup, findings), *facts]),
        kind=_KINDS[alert.event],
    )
    named = [(name, receiver_of(url)) for name, url in webhooks.items()]
    named += [(NOTIFY, str(number)) for number in range(1, len(urls) + 1)]
    deliveries = [
        Delivery(name, f"{receiver}:{scheme}" if scheme else receiver, fault)
        for (name, receiver), (scheme, fault) in zip(named, answers, strict=True)
    ]
    for delivery in deliveries:
        fields = f"variable={delivery.variable} receiver={delivery.receiver or 'none'}"
        if delivery.fault is None:
            logger.info("step=alert event=%s %s", alert.event, fields)
        else:
            logger.warning("step=alert event=%s %s problem=%s", alert.event, fields, delivery.fault)
    return deliveries


def _answers(
    receivers: Sequence[tuple[str, dict[str, Any] | None]],
    title: str = "",
    body: str = "",
    kind: str = "",
) -> list[tuple[str, str | None]]:
    """Run alert_sender.py for at most LIMIT_SECONDS, and return its answers.

    The arguments are fields of its Parcel.

    Returns:
        For each receiver: the scheme of its URL (empty unless Apprise knows it), and why it was
        not notified, or None.
    """
    parcel = {
        "receivers": receivers,
        "title": title,
        "body": body,
        "kind": kind,
        "seconds": LIMIT_SECONDS,
    }
    try:
        told = subprocess.run(  # nosec B603
            [sys.executable, "-m", "value_props.notify.alert_sender"],
            # Python imports modules from the working directory, which must not be the user's.
            cwd=Path(__file__).parents[2],
            input=json.dumps(parcel).encode(),
            stdout=subprocess.PIPE,
            # Libraries may log the URLs, which are secret.
            stderr=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as late:
        told = late.stdout or b""
    except OSError:
        # The process could not start. That is no fault of a receiver.
        told = b""
    # The last line may be incomplete; it then lacks its line end.
    lines = [json.loads(line) for line in told.splitlines(keepends=True) if line.endswith(b"\n")]
    answers = {index: (scheme, fault) for index, scheme, fault in lines}
    return [answers.get(index, ("", SILENT)) for index in range(len(receivers))]


def _json_object(alert: Alert) -> dict[str, Any]:
    """Return the JSON object for the plain webhook."""
    fields = asdict(alert)
    return {name: fields[name] for name in fields if fields[name] or name not in _ADDED}


def _header(alert: Alert) -> str:
    header = f"value-props {_EVENTS[alert.event]}"
    if alert.reason:
        header += f": {alert.reason}"
    elif alert.first_day:
        header += f": report of {alert.first_day} to {alert.last_day}"
    return _shortened(header, HEADER_LENGTH)


def _lines(alert: Alert) -> tuple[list[str], list[str]]:
    """Return the lines below the header: findings, which quote raw data, and facts."""
    facts = [f"and {alert.more_findings} more"] if alert.more_findings else []
    is_kept_back = alert.verdict == "published" and not alert.is_made_current
    facts.append(
        f"Run {alert.run_id}: {alert.verdict}{', not current' if is_kept_back else ''}"
        if alert.run_id
        else "It had not begun a run; the log says why"
    )
    if alert.page:
        facts.append(f"Report: {alert.page}")
    facts += alert.notes
    findings = [f"• {finding}" for finding in alert.findings]
    return (
        [_shortened(line, _LINE_LENGTH) for line in findings],
        [_shortened(line, _LINE_LENGTH) for line in facts],
    )


def _slack_message(alert: Alert) -> dict[str, Any]:
    """Return the message for Slack: blocks, and the same as text for clients without blocks."""
    header = _header(alert)
    findings, facts = _lines(alert)
    # Findings quote names from raw data, which must not become links or mentions.
    lines = [html.escape(line, quote=False) for line in (*findings, *facts)]
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


def _without_markup(text: str) -> str:
    """Return a text that looks the same but that no receiver reads as markup."""
    return _MARKUP.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, text)


def _shortened(text: str, length: int) -> str:
    """Return a text as one line of at most `length` characters, cut between words."""
    return textwrap.shorten(text, length, placeholder=" …")
