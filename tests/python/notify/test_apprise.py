"""VALUE_PROPS_NOTIFY: alerts by apprise, to servers on this machine."""

from __future__ import annotations

import email
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.harness import CLEAN, value_props
from support.http_receiver import (
    SECRET,
    Receiver,
    never_ends_its_answer,
    never_ends_its_headers,
    receiving,
    stays_silent,
    with_json,
    with_status,
)
from support.mail_server import mail_server
from support.sample_report import RAW_MARK, RUN_ID, sample_report

from value_props.errors import ValuePropsError
from value_props.notify import alerts
from value_props.notify.alerts import Delivery, check_settings, notify

LIMIT_SECONDS = 5.0
# What a hostile value prop may be called.
HOSTILE = (
    "<!channel>",
    "<!subteam^S1>",
    "@everyone",
    "@room",
    "@**all**",
    "<@U1>",
    "<at>someone</at>",
    "<https://evil.example|here>",
    "[here](https://evil.example)",
    "[here](//evil.example)",
    "https://evil.example",
    "www.evil.example",
    "mailto:a@evil.example",
    "&#64;everyone",
    "&lt;!channel&gt;",
    "<img src=x>",
    "<script>alert(1)</script>",
    "#**general**",
)
# What one or the other receiver would read as more than text.
MARKUP = re.compile(r"@\w|@\*|<[\w!@/#]|\]\(|://|www\.\w|mailto:\w|&#|&lt;|#\*")
FAILED = sample_report("failed", problems=["Source pays: no print"])


@pytest.fixture
def _short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "LIMIT_SECONDS", LIMIT_SECONDS)


def tell(*urls: str, report: dict[str, Any] = FAILED, page: Path | None = None) -> list[str | None]:
    """The fault of each delivery."""
    return [
        delivery.fault for delivery in notify(report, page, None, {alerts.NOTIFY: "\n ".join(urls)})
    ]


def body_of(receiver: Receiver) -> Any:
    [(_, _, body)] = receiver.requests
    return json.loads(body)


def test_several_receivers_are_told_beside_the_webhooks(receiver: Receiver) -> None:
    with mail_server() as (port, mails):
        environ = {
            alerts.NOTIFY: f"json://{receiver.address}/a/{SECRET}\n\t"
            f"mailto://127.0.0.1:{port}?mode=insecure&from=a@example.org&to=b@example.org",
            **receiver.environ(alerts.SLACK_WEBHOOK, alerts.WEBHOOK),
        }
        deliveries = notify(
            sample_report("failed", problems=[f"Problem {number}" for number in range(1, 6)]),
            Path("/reports/report.html"),
            None,
            environ,
        )
    assert deliveries == [
        Delivery(alerts.SLACK_WEBHOOK, receiver.url, None),
        Delivery(alerts.WEBHOOK, receiver.url, None),
        Delivery(alerts.NOTIFY, "1:json", None),
        Delivery(alerts.NOTIFY, "2:mailto", None),
    ]
    [body] = [body for _, path, body in receiver.requests if path == f"/a/{SECRET}"]
    told = json.loads(body)
    assert (told["title"], told["type"]) == (
        "value-props failed: report of 2020-11-23 to 2020-11-29",
        "failure",
    )
    assert told["message"].split("\n") == [
        "• Problem 1",
        "• Problem 2",
        "• Problem 3",
        "and 2 more",
        f"Run {RUN_ID}: failed",
        "Report: /reports/report.html",
    ]
    assert RAW_MARK not in told["message"]
    [(recipients, mail)] = mails
    assert recipients == ["b@example.org"]
    assert f"Subject: {told['title']}" in mail


def slack(receiver: Receiver) -> tuple[str, Callable[[], str]]:
    receiver.answer = with_json(b'{"ok": true}')
    url = f"slack://xoxb-{SECRET}/%23some?base_url={quote(receiver.url, safe='')}"
    return url, lambda: body_of(receiver)["attachments"][0]["text"]


def mattermost(receiver: Receiver) -> tuple[str, Callable[[], str]]:
    return f"mmost://{receiver.address}/{SECRET}", lambda: body_of(receiver)["text"]


def plain(receiver: Receiver) -> tuple[str, Callable[[], str]]:
    return f"json://{receiver.address}", lambda: body_of(receiver)["message"]


def emojis(receiver: Receiver) -> tuple[str, Callable[[], str]]:
    return f"json://{receiver.address}?emojis=yes", lambda: body_of(receiver)["message"]


def markdown(receiver: Receiver) -> tuple[str, Callable[[], str]]:
    return f"json://{receiver.address}?format=markdown", lambda: body_of(receiver)["message"]


@pytest.mark.parametrize("service", [slack, mattermost, plain, emojis, markdown])
def test_no_name_mentions_links_or_is_interpreted(
    receiver: Receiver, service: Callable[[Receiver], tuple[str, Callable[[], str]]]
) -> None:
    url, text_of = service(receiver)
    odd = r":smile: \n \u0041 %s %(app_id)s {app_body} {{ app_body }} ${HOME} file:///etc/passwd"
    problems = [f"Value prop {' '.join(HOSTILE)}", odd, "file:///etc/passwd"]
    page = Path("/:smile:/report.html")
    assert tell(url, report=sample_report("failed", problems=problems), page=page) == [None]
    text = text_of()
    # Slack shows these two, and takes neither for markup.
    shown = text.replace("&lt;\u200b", "<\u200b").replace("&amp;\u200b", "&\u200b")
    assert MARKUP.search(shown) is None
    seen = shown.replace("\u200b", "").replace("\\", "")
    assert "@everyone" in seen
    assert odd.replace("\\", "") in seen
    assert str(page) in seen
    assert "root:" not in text


def test_teams_is_told_text_that_fits(tmp_path: Path) -> None:
    problems = [f"{' '.join(HOSTILE)} {'word ' * 200}"] * 3
    with receiving(tmp_path) as receiver:
        url = f"workflows://{receiver.address}/{SECRET}/{SECRET}?verify=no"
        assert tell(url, report=sample_report("failed", problems=problems)) == [None]
        [attachment] = body_of(receiver)["attachments"]
    texts = [part["text"] for part in attachment["content"]["body"]]
    assert len(texts) == 2
    assert 500 < len(texts[1]) <= 1000
    assert MARKUP.search(texts[1]) is None
    assert "entities" not in attachment["content"]["msteams"]


@pytest.mark.parametrize("form", ["text", "html"])
def test_a_mail_holds_no_markup_of_a_name(form: str) -> None:
    report = sample_report("failed", problems=[" ".join(HOSTILE)])
    with mail_server() as (port, mails):
        url = f"mailto://127.0.0.1:{port}?mode=insecure&from=a@example.org&to=b@example.org"
        assert tell(f"{url}&format={form}", report=report) == [None]
    [(_, text)] = mails
    parts = list(email.message_from_string(text, policy=default).walk())
    bodies = [part.get_content() for part in parts if not part.is_multipart()]
    kinds = [part.get_content_type() for part in parts if not part.is_multipart()]
    assert kinds[-1] == f"text/{'plain' if form == 'text' else 'html'}"
    assert not re.search(r"<(?:img|script|at|https)\b", bodies[-1])
    assert "example" in bodies[-1]


def test_nothing_follows_a_redirect(receiver: Receiver) -> None:
    receiver.answer = with_status(307, Location="/elsewhere")
    assert tell(f"json://{receiver.address}/{SECRET}") == ["status 307"]
    assert len(receiver.requests) == 1


@pytest.mark.usefixtures("_short_limit")
@pytest.mark.parametrize("spoil", [stays_silent, never_ends_its_headers, never_ends_its_answer])
def test_a_receiver_that_hangs_is_left_and_the_others_are_told(
    receiver: Receiver, log: pytest.LogCaptureFixture, spoil: Callable[[Receiver], None]
) -> None:
    spoil(receiver)
    # More than apprise has workers, and each with a patience of its own.
    bad = [f"json://{receiver.address}/{SECRET}/{n}?rto=60&cto=60&retry=9" for n in range(40)]
    with receiving() as good:
        start = time.monotonic()
        faults = tell(*bad, f"json://{good.address}/{SECRET}")
        assert time.monotonic() - start < LIMIT_SECONDS + 1
        assert len(good.requests) == 1
    assert faults == ["no answer in time"] * 40 + [None]
    assert SECRET not in log.text


@pytest.fixture
def at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has each Python that this process starts run some code first."""

    def run(code: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(code, encoding="utf-8")
        paths = (str(tmp_path), os.environ.get("PYTHONPATH", ""))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))

    return run


@pytest.mark.usefixtures("_short_limit")
def test_a_name_server_that_hangs_is_left(at_start: Callable[[str], None]) -> None:
    at_start("import socket, time\nsocket.getaddrinfo = lambda *_, **__: time.sleep(600)\n")
    start = time.monotonic()
    environ = {alerts.NOTIFY: "json://some.example", alerts.WEBHOOK: "http://some.example"}
    faults = [delivery.fault for delivery in notify(FAILED, None, None, environ)]
    assert faults == ["no answer in time"] * 2
    assert time.monotonic() - start < LIMIT_SECONDS + 1


def test_the_sender_ends_though_nobody_ends_it(receiver: Receiver) -> None:
    never_ends_its_headers(receiver)
    parcel = {"receivers": [[receiver.url, {}]], "title": "", "body": "", "kind": "", "seconds": 1}
    sent = subprocess.run(
        [sys.executable, "-m", "value_props.notify.alert_sender"],
        input=json.dumps(parcel),
        timeout=30,
        check=False,
        encoding="utf-8",
    )
    assert sent.returncode == -signal.SIGALRM


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        (f"json://127.0.0.1:1/{SECRET}", "it was not told"),
        (f"json://user:{SECRET}@127.0.0.1:1/?+Authorization={SECRET}", "it was not told"),
        (f"slack://xoxb-{SECRET}/%23some?base_url=http%3A%2F%2F127.0.0.1%3A1", "it was not told"),
        (
            f"mailto://u:{SECRET}@127.0.0.1:1?mode=insecure&from=a@b.org&to={SECRET}@b.org",
            "it was not told",
        ),
        (f"slack://{SECRET}", "it is no URL that apprise reads"),
        (f"{SECRET}://127.0.0.1", "it is no URL that apprise reads"),
        (f"http://127.0.0.1/{SECRET}", "it is no URL that apprise reads"),
        (SECRET, "it is no URL that apprise reads"),
    ],
)
def test_a_receiver_that_is_not_told_is_one_warning_without_its_secret(
    url: str, fault: str, log: pytest.LogCaptureFixture
) -> None:
    assert tell(url) == [fault]
    [record] = log.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("step=alert event=failed variable=VALUE_PROPS_NOTIFY ")
    assert SECRET.lower() not in log.text.lower()


def test_what_the_libraries_log_is_shown_to_nobody(
    receiver: Receiver, at_start: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    at_start("import logging\nlogging.basicConfig(level=1)\n")
    environ = {alerts.NOTIFY: f"json://{receiver.address}/{SECRET}"}
    notify(FAILED, None, None, {**environ, **receiver.environ(alerts.WEBHOOK)})
    assert len(receiver.requests) == 2
    assert SECRET not in "".join(capfd.readouterr())


def test_a_status_is_told(receiver: Receiver) -> None:
    receiver.answer = with_status(404)
    assert tell(f"json://{receiver.address}") == ["status 404"]


def test_an_entry_that_cannot_be_read_is_named_by_number_and_scheme() -> None:
    entries = (
        f"json://127.0.0.1/{SECRET} slack://{SECRET}  {SECRET}://a\n{SECRET} mailto://{SECRET}"
    )
    with pytest.raises(ValuePropsError) as refused:
        check_settings({alerts.NOTIFY: entries})
    error = refused.value
    assert error.where == "Environment variable VALUE_PROPS_NOTIFY"
    assert [detail.partition(":")[0] for detail in error.details] == [
        "Entry 2 of 5 (slack)",
        "Entry 3 of 5 (no scheme that is known)",
        "Entry 4 of 5 (no scheme that is known)",
        "Entry 5 of 5 (mailto)",
    ]
    assert SECRET.lower() not in str(error).lower()
    check_settings({alerts.NOTIFY: f"json://127.0.0.1/{SECRET} \n json://127.0.0.1/b"})
    check_settings({alerts.NOTIFY: " \n "})


def test_a_run_does_not_begin_with_an_entry_that_cannot_be_read(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(alerts.NOTIFY, f"json://{receiver.address} slack://{SECRET}")
    answer = value_props("--debug", "build", "--raw", CLEAN, "--out", tmp_path / "out")
    assert answer.returncode == 2
    assert "Environment variable VALUE_PROPS_NOTIFY: it cannot be read." in answer.text
    assert "Entry 2 of 2 (slack)" in answer.text
    assert SECRET not in answer.stdout + answer.stderr
    assert receiver.requests == []
    assert not (tmp_path / "out").exists()


def test_apprise_is_only_in_the_process_that_sends(receiver: Receiver) -> None:
    code = (
        "import os, sys, value_props.cli.program, value_props.run.build\n"
        "from value_props.notify import alerts\n"
        "failed = {'run': {'run_id': '1', 'status': 'failed'}, 'problems': []}\n"
        "alerts.check_settings()\n"
        "[delivery] = alerts.notify(failed, None, None)\n"
        "assert delivery.fault is None\n"
        "assert 'apprise' not in sys.modules\n"
    )
    environ = {**os.environ, alerts.NOTIFY: f"json://{receiver.address}"}
    subprocess.run([sys.executable, "-c", code], env=environ, timeout=60, check=True)
    assert len(receiver.requests) == 1


def test_a_process_that_cannot_be_started_does_no_harm(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    check_settings({alerts.NOTIFY: f"json://{receiver.address}"})
    assert tell(f"json://{receiver.address}") == ["no answer in time"]
    assert receiver.requests == []
