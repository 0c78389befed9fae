"""Tell whoever is configured that a run failed, or that runs pass again: chat, mail, webhooks.

What is told is made here; alert_sender.py sends it.
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
# All receivers together.
LIMIT_SECONDS = 8.0
SILENT = "no answer in time"
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
# What apprise calls them; receivers colour them so.
_KINDS = {"failed": "failure", "recovered": "success", "warned": "warning"}
# Fields of an alert that the object of the plain webhook has only where they are given.
_ADDED = ("reason", "notes")
_MEANINGS: dict[int, str] = {
    ExitCode.GATE_FAILED: "the data failed the gate",
    ExitCode.CANNOT_RUN: "it cannot run",
    ExitCode.LOCKED: "another run holds the lock",
    ExitCode.NOT_PUBLISHED: "it passed but was not published",
}
# What begins a mention, a link, a tag or an entity for one or the other receiver.
_MARKUP = re.compile(r"[@#~<&:\]](?=\S)|\bwww(?=\.)", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"


@dataclass(frozen=True)
class Alert:
    """What is told of a run: these fields are the JSON object that the plain webhook gets.

    Args:
        event: failed; recovered, where the run passed and the run before it did not; or warned.
        run_id: of the run; None where a scheduler tells of a build that began none.
        verdict: published or failed.
        is_made_current: whether the stable names show the run.
        first_day: of the report, ISO 8601; None where the run did not come that far.
        last_day: of the report, ISO 8601; None as first_day.
        findings: the first three problems of a failed run or warnings of a published one, a
            sentence of at most 590 characters each.
        more_findings: how many there are beside them.
        page: path of the report page on the machine of the run; None where there is none.
        reason: what the exit code says, where a scheduler told it. Else left out of the object.
        notes: lines that a scheduler adds. Left out of the object where there are none.
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
    """What became of one alert.

    Args:
        variable: the environment variable that names the receiver.
        receiver: scheme, host and port of its URL, the rest of which is secret; empty for no URL.
            Of an entry of VALUE_PROPS_NOTIFY its number, from 1, and its scheme.
        fault: why it did not take the alert; None where it did.
    """

    variable: str
    receiver: str
    fault: str | None


def check_settings(environ: Mapping[str, str] = os.environ) -> None:
    """Refuse a variable that cannot be read, before a run begins.

    Raises:
        ValuePropsError: NOTIFY_ON_WARN is neither on nor off, or NOTIFY holds what is no URL of
            apprise; it names the entry by its number and scheme, since the rest is secret.
    """
    switch_of(environ.get(NOTIFY_ON_WARN, ""), f"Environment variable {NOTIFY_ON_WARN}")
    urls = environ.get(NOTIFY, "").split()
    if not urls:
        return
    # Where nothing is heard of an entry, nothing is known against it.
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
        environ: holds VALUE_PROPS_NOTIFY, the URLs of apprise, and VALUE_PROPS_SLACK_WEBHOOK and
            VALUE_PROPS_WEBHOOK, the URLs to post to.

    Returns:
        A delivery for each receiver that was to be told.
    """
    try:
        event = _event_of(report, status_before, environ)
        return _send(_alert_of(event, report, page), environ) if event else []
    except Exception as error:
        # The run has ended and its result stands, so no fault of an alert may be raised.
        logger.warning("step=alert problem=%s", type(error).__name__)
        return []


def notify_of_failure(
    report: Mapping[str, Any],
    page: Path | None,
    exit_code: int | None,
    notes: Sequence[str],
    environ: Mapping[str, str] = os.environ,
) -> list[Delivery]:
    """Tell whoever is configured that a build failed, for a scheduler that hid them from it.

    Args:
        report: as for notify; run.run_id is None where no run began.
        page: the report page, if there is one.
        exit_code: of the build, negative for the signal that killed it; None if unknown.
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
    """What there is to tell of a run; None where it is nothing."""
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
    """Send the alert to each receiver that the environment names, and log what became of it."""
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
        # Sentences quote names out of raw data: none of them may link, or call anybody.
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
    """What alert_sender.py says of each receiver within LIMIT_SECONDS.

    Args:
        receivers: see its Parcel, as title, body and kind.

    Returns:
        For each receiver the scheme of its URL, empty if apprise does not know it, and why it was
        not told, or None.
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
            # Python looks for modules there, and not in the folder of the user.
            cwd=Path(__file__).parents[2],
            input=json.dumps(parcel).encode(),
            stdout=subprocess.PIPE,
            # What libraries log may hold the URLs.
            stderr=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as late:
        told = late.stdout or b""
    except OSError:
        # It could not be started, which says nothing against a receiver.
        told = b""
    # A last line that is cut off has no end.
    lines = [json.loads(line) for line in told.splitlines(keepends=True) if line.endswith(b"\n")]
    answers = {index: (scheme, fault) for index, scheme, fault in lines}
    return [answers.get(index, ("", SILENT)) for index in range(len(receivers))]


def _json_object(alert: Alert) -> dict[str, Any]:
    """The alert for the plain webhook."""
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
    """The message below its header: what quotes raw data, and what this project says itself."""
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
    """The alert for Slack: blocks, and all of it as text for what shows no blocks."""
    header = _header(alert)
    findings, facts = _lines(alert)
    # Sentences quote names out of raw data: none of them may link, or call a channel.
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
    """The text, which no receiver reads as more than text; it looks the same."""
    return _MARKUP.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, text)


def _shortened(text: str, length: int) -> str:
    """The text in one line of at most so many characters, cut between words."""
    return textwrap.shorten(text, length, placeholder=" …")
