"""Alerts reach who is configured, tell no raw row and no secret, and never hold up a run."""

from __future__ import annotations

import html
import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.http_receiver import (
    SECRET,
    Receiver,
    never_ends_its_answer,
    never_ends_its_headers,
    stays_silent,
    with_status,
)
from support.sample_report import RAW_MARK, RUN_ID, sample_report

from value_props.notify import alerts
from value_props.notify.alerts import Delivery, notify
from value_props.notify.receivers import receiver_of

PAGE = Path(f"/reports/{RUN_ID}/report.html")
# Of these a process needs some to start.
LIMIT_SECONDS = 4.0
FAILED = sample_report("failed", problems=["Source pays: no print"])
PASSED = sample_report("published")
WARNED = sample_report("published", warnings=["Value prop a is not in the catalogue"])


@pytest.fixture
def _short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "LIMIT_SECONDS", LIMIT_SECONDS)


def test_a_failure_is_told_to_slack_and_to_the_webhook(receiver: Receiver) -> None:
    report = sample_report("failed", problems=[f"Problem {number}" for number in range(1, 6)])
    environ = receiver.environ(alerts.SLACK_WEBHOOK, alerts.WEBHOOK)
    assert notify(report, PAGE, "published", environ) == [
        Delivery(alerts.SLACK_WEBHOOK, receiver_of(receiver.url), None),
        Delivery(alerts.WEBHOOK, receiver_of(receiver.url), None),
    ]
    assert receiver.payload(alerts.WEBHOOK) == {
        "event": "failed",
        "run_id": RUN_ID,
        "verdict": "failed",
        "is_made_current": False,
        "first_day": "2020-11-23",
        "last_day": "2020-11-29",
        "findings": ["Problem 1", "Problem 2", "Problem 3"],
        "more_findings": 2,
        "page": str(PAGE),
    }
    message = receiver.payload(alerts.SLACK_WEBHOOK)
    lines = [
        "value-props failed: report of 2020-11-23 to 2020-11-29",
        "• Problem 1",
        "• Problem 2",
        "• Problem 3",
        "and 2 more",
        f"Run {RUN_ID}: failed",
        f"Report: {PAGE}",
    ]
    assert message["text"].split("\n") == lines
    assert [block["type"] for block in message["blocks"]] == ["header", *["section"] * 6]
    assert [block["text"]["text"] for block in message["blocks"]] == lines
    # Addresses in names out of raw data become no links.
    assert all(block["text"]["verbatim"] for block in message["blocks"][1:])


@pytest.mark.parametrize(
    ("report", "status_before", "on_warn", "event"),
    [
        (FAILED, None, "", "failed"),
        (FAILED, "failed", "", "failed"),
        (PASSED, "failed", "", "recovered"),
        (PASSED, "killed", "", "recovered"),
        (WARNED, "failed", "1", "recovered"),
        (WARNED, "published", "1", "warned"),
        (WARNED, "rolled back", "true", "warned"),
        (WARNED, "published", "", None),
        (WARNED, "published", "0", None),
        (PASSED, "published", "1", None),
        (PASSED, "rolled back", "1", None),
        (PASSED, None, "1", None),
    ],
)
def test_what_is_told_when(
    receiver: Receiver,
    report: dict[str, Any],
    status_before: str | None,
    on_warn: str,
    event: str | None,
) -> None:
    environ = receiver.environ(alerts.WEBHOOK, **{alerts.NOTIFY_ON_WARN: on_warn})
    notify(report, PAGE, status_before, environ)
    told = [json.loads(body) for _, _, body in receiver.requests]
    assert [alert["event"] for alert in told] == ([event] if event else [])
    assert [alert["findings"] for alert in told] == (
        [report["problems"] or report["warnings"]] if event else []
    )


def test_a_recovery_says_if_an_older_week_stays_current(receiver: Receiver) -> None:
    report = sample_report("published")
    report["run"]["is_made_current"] = False
    notify(report, PAGE, "failed", receiver.environ(alerts.SLACK_WEBHOOK))
    text = receiver.payload(alerts.SLACK_WEBHOOK)["text"]
    assert text.startswith("value-props passes again: report of 2020-11-23")
    assert f"{RUN_ID}: published, not current" in text


def test_a_run_without_a_report_is_told(receiver: Receiver) -> None:
    least = {"run": {"run_id": "1", "status": "failed"}, "problems": ["The disk is full"]}
    environ = receiver.environ(alerts.SLACK_WEBHOOK, alerts.WEBHOOK)
    notify(least, None, "published", environ)
    assert receiver.payload(alerts.WEBHOOK)["findings"] == ["The disk is full"]
    assert receiver.payload(alerts.SLACK_WEBHOOK)["text"].split("\n") == [
        "value-props failed",
        "• The disk is full",
        "Run 1: failed",
    ]


@pytest.mark.parametrize("environ", [{}, {alerts.SLACK_WEBHOOK: "", alerts.WEBHOOK: " "}])
def test_nothing_is_sent_where_nothing_is_configured(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was sent")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert notify(FAILED, PAGE, None, environ) == []


@pytest.mark.parametrize("report", [FAILED, PASSED, WARNED])
def test_no_raw_row_is_sent(receiver: Receiver, report: dict[str, Any]) -> None:
    assert RAW_MARK in json.dumps(report)
    notify(report, PAGE, "failed", receiver.environ(alerts.SLACK_WEBHOOK, alerts.WEBHOOK))
    assert len(receiver.requests) == 2
    assert RAW_MARK.encode() not in b"".join(body for _, _, body in receiver.requests)


def test_any_sentence_is_escaped_and_fits_into_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    words = st.one_of(
        st.text(max_size=40),
        st.sampled_from(["<!channel>", "&" * 600, "<" * 700, "&lt;", "\n", "'\""]),
    )
    sentences = st.lists(words, min_size=1, max_size=200).map(" ".join)
    sent: list[Any] = []

    def keep(receivers: Sequence[Any], **_: str) -> list[tuple[str, None]]:
        sent[:] = [payload for _, payload in receivers]
        return [("", None)] * len(receivers)

    # To start a process for each example would take a minute.
    monkeypatch.setattr(alerts, "_answers", keep)

    @settings(max_examples=100, deadline=None)
    @given(problems=st.lists(sentences, min_size=1, max_size=5))
    def told(problems: list[str]) -> None:
        report = sample_report("failed", problems=[f"Problem {text}" for text in problems])
        page = Path("/a&b") / ("<" * 900)
        notify(report, page, None, {alerts.SLACK_WEBHOOK: "a", alerts.WEBHOOK: "b"})
        message, told = sent
        header, *sections = [block["text"]["text"] for block in message["blocks"]]
        assert 1 <= len(header) <= 150
        assert all(1 <= len(text) <= 3000 for text in sections)
        for text in (message["text"], *sections):
            assert not re.search(r"[<>]|&(?!(?:amp|lt|gt);)", text)
        findings = told["findings"]
        assert all(1 <= len(text) <= 590 for text in findings)
        shown = [html.unescape(text) for text in sections[: len(findings)]]
        assert shown == [f"• {text}" for text in findings]

    told()


def refuses(receiver: Receiver) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        receiver.url = f"http://127.0.0.1:{unused.getsockname()[1]}"


def fails(receiver: Receiver) -> None:
    receiver.answer = with_status(500)


def redirects(receiver: Receiver) -> None:
    receiver.answer = with_status(307, Location="/elsewhere")


def speaks_no_http(receiver: Receiver) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"SSH-2.0-none\r\n")

    receiver.answer = answer


@pytest.mark.usefixtures("_short_limit")
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (refuses, r"it does not answer \(ConnectionError\)"),
        (fails, "status 500"),
        (redirects, "status 307"),
        (stays_silent, r"it does not answer \(ReadTimeout\)|no answer in time"),
        (never_ends_its_headers, "no answer in time"),
        (speaks_no_http, r"it does not answer \(ConnectionError\)"),
    ],
)
def test_a_bad_receiver_is_one_warning_without_its_secret(
    receiver: Receiver,
    log: pytest.LogCaptureFixture,
    spoil: Callable[[Receiver], None],
    fault: str,
) -> None:
    spoil(receiver)
    environ = receiver.environ(alerts.SLACK_WEBHOOK, alerts.WEBHOOK)
    start = time.monotonic()
    deliveries = notify(FAILED, PAGE, None, environ)
    # Both at once: one after the other would take twice the limit.
    assert time.monotonic() - start < LIMIT_SECONDS + 1
    assert len(receiver.requests) <= 2
    assert [delivery.variable for delivery in deliveries] == list(environ)
    warnings = [record for record in log.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2
    for delivery, record in zip(deliveries, warnings, strict=True):
        assert re.fullmatch(fault, str(delivery.fault))
        assert record.getMessage() == (
            f"step=alert event=failed variable={delivery.variable}"
            f" receiver={delivery.receiver} problem={delivery.fault}"
        )
    assert SECRET not in log.text


@pytest.mark.usefixtures("_short_limit")
def test_an_answer_without_end_is_not_read(receiver: Receiver) -> None:
    never_ends_its_answer(receiver)
    [delivery] = notify(FAILED, PAGE, None, receiver.environ(alerts.WEBHOOK))
    assert delivery.fault is None


def test_a_process_ends_though_a_receiver_does_not(receiver: Receiver) -> None:
    never_ends_its_headers(receiver)
    code = (
        "from value_props.notify import alerts; alerts.LIMIT_SECONDS = 4.0;"
        "alerts.notify({'run': {'run_id': '1', 'status': 'failed'}, 'problems': []}, None, None)"
    )
    environ = {**os.environ, alerts.SLACK_WEBHOOK: "", **receiver.environ(alerts.WEBHOOK)}
    subprocess.run([sys.executable, "-c", code], env=environ, timeout=20, check=True)
    assert len(receiver.requests) == 1


def test_one_bad_receiver_leaves_the_other_its_alert(receiver: Receiver) -> None:
    environ = {alerts.SLACK_WEBHOOK: "nonsense", **receiver.environ(alerts.WEBHOOK)}
    faults = [delivery.fault for delivery in notify(FAILED, PAGE, None, environ)]
    assert faults == ["it is no http or https URL", None]
    assert receiver.payload(alerts.WEBHOOK)["event"] == "failed"


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        f"/services/{SECRET}",
        f"hooks.slack.com/services/{SECRET}",
        f"ftp://127.0.0.1/{SECRET}",
        f"file:///{SECRET}",
        f"{SECRET}://127.0.0.1/",
        f"https:{SECRET}",
        f"https:///{SECRET}",
        f"http://[::1/{SECRET}",
        f"http://127.0.0.1\\{SECRET}",
        f"http://127.0.0.1;{SECRET}",
        f"http://127.0.0.1:1{SECRET}/",
        f"http://user:{SECRET}@127.0.0.1:1/",
        f"http://127.0.0.1:99999/{SECRET}",
        f"http://.127.0.0.1:1/{SECRET}",
    ],
)
def test_a_malformed_url_is_one_warning(url: str, log: pytest.LogCaptureFixture) -> None:
    [delivery] = notify(FAILED, PAGE, None, {alerts.WEBHOOK: url})
    assert delivery.fault
    [warning] = [record for record in log.records if record.levelno >= logging.WARNING]
    assert f"problem={delivery.fault}" in warning.getMessage()
    assert SECRET.lower() not in (log.text + str(delivery)).lower()


def test_a_receiver_with_odd_headers_brings_no_secret_into_the_log(
    receiver: Receiver, log: pytest.LogCaptureFixture
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        # The HTTP client warns of it, and names the URL.
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nA: b\r\n: no name\r\n\r\n")

    receiver.answer = answer
    [delivery] = notify(FAILED, PAGE, None, receiver.environ(alerts.WEBHOOK))
    assert delivery.fault is None
    [record] = log.records
    assert record.getMessage() == (
        f"step=alert event=failed variable={alerts.WEBHOOK} receiver={delivery.receiver}"
    )


def test_a_report_that_is_none_does_no_harm(
    receiver: Receiver, log: pytest.LogCaptureFixture
) -> None:
    assert notify({}, PAGE, None, receiver.environ(alerts.WEBHOOK)) == []
    assert [record.getMessage() for record in log.records] == ["step=alert problem=KeyError"]


def test_the_limit_is_ten_seconds_at_most() -> None:
    assert 0 < alerts.LIMIT_SECONDS <= 10
