"""How the DAG tells of a failure: by the command, and without Airflow's providers."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from apprise import Apprise
from support.airflow import module_of_dags
from support.http_receiver import SECRET, receiving, with_json
from support.mail_server import mail_server

from value_props.notify import alerts

job = module_of_dags("value_props_job")
alert = module_of_dags("value_props_alert")
Connections = Callable[..., None]


def connection(**values: Any) -> SimpleNamespace:
    extra = values.pop("extra", {})
    names = dict.fromkeys(("host", "port", "login", "password"))
    return SimpleNamespace(**{**names, **values}, extra_dejson=extra)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """Gives Airflow its connections, by name."""

    def give(**found: SimpleNamespace) -> None:
        sdk = ModuleType("airflow.sdk")
        sdk.Connection = SimpleNamespace(get=lambda name: found[name])  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
        monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)

    give()
    return give


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that notes its arguments and runs the command."""
    script = tmp_path / "value-props"
    script.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {shlex.quote(str(tmp_path / "arguments"))}\n'
        f"exec {shlex.quote(sys.executable)}"
        ' -c "from value_props.cli.program import main; main()" "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    monkeypatch.setenv("VALUE_PROPS_COMMAND", shlex.quote(str(script)))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return script


def settings(**environ: str) -> Any:
    return job.settings_of({**os.environ, **environ})


def context_of(error: Exception | None, failure: Any = None) -> dict[str, Any]:
    if failure is not None:
        error.failure = failure  # type: ignore[union-attr]
    ti = SimpleNamespace(try_number=2, log_url="http://127.0.0.1:8081/dags/value_props/runs/a")
    return {"ti": ti, "dag_run": SimpleNamespace(run_id="manual__1"), "exception": error}


def test_the_command_tells_all_receivers_once(
    connections: Connections,
    command: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("AIRFLOW_CONN_SOME", SECRET)
    with receiving() as receiver, mail_server() as (port, mails):
        receiver.answer = with_json(b'{"ok": true}')
        base = {"base_url": f"{receiver.url}/api/", "channel": "#some"}
        mail = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org"}
        connections(
            value_props_slack=connection(password=f"xoxb-{SECRET}", extra=base),
            value_props_smtp=connection(host="127.0.0.1", port=port, extra=mail),
        )
        monkeypatch.setenv(alerts.NOTIFY, f"json://{receiver.address}/apprise/{SECRET}")
        for name, url in receiver.environ(alerts.SLACK_WEBHOOK, alerts.WEBHOOK).items():
            monkeypatch.setenv(name, url)
        failure = job.Failure(1, "some-run", str(tmp_path / "out"))
        error = RuntimeError("value-props build ended with exit code 1")
        alert.tell(
            context_of(error, failure),
            settings(VALUE_PROPS_MAIL_TO="one@example.org, two@example.org"),
        )
    told = {path: json.loads(body) for _, path, body in receiver.requests}
    assert len(receiver.requests) == len(told) == 4
    title = "value-props failed: the data failed the gate (exit 1)"
    lines = [
        "Run some-run: failed",
        "Airflow: manual__1, try 2",
        "Log: http://127.0.0.1:8081/dags/value_props/runs/a",
    ]
    post = told["/api/chat.postMessage"]
    [message] = post["attachments"]
    assert (post["channel"], post["username"]) == ("#some", "value-props")
    assert (message["title"], message["text"].split("\n")) == (title, lines)
    assert told[f"/apprise/{SECRET}"]["message"].split("\n") == lines
    assert receiver.payload(alerts.SLACK_WEBHOOK)["text"].split("\n") == [title, *lines]
    assert receiver.payload(alerts.WEBHOOK)["notes"] == lines[1:]
    assert [recipients for recipients, _ in mails] == [["one@example.org"], ["two@example.org"]]
    assert all(f"Subject: {title}" in text and lines[1] in text for _, text in mails)
    assert "Alerts sent: 5." in caplog.text
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8")
    assert SECRET not in arguments + caplog.text


def test_an_error_of_airflow_itself_is_told(
    connections: Connections, command: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv(alerts.SLACK_WEBHOOK, f"{receiver.url}/{alerts.SLACK_WEBHOOK}/{SECRET}")
        alert.tell(context_of(RuntimeError("Timeout, PID: 1")), settings())
        text = receiver.payload(alerts.SLACK_WEBHOOK)["text"].split("\n")
    assert text[0] == "value-props failed"
    assert text[2:4] == ["Timeout, PID: 1", "Airflow: manual__1, try 2"]


def test_a_command_that_is_not_there_is_logged(
    connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    alert.tell(context_of(RuntimeError("x")), settings(VALUE_PROPS_COMMAND="/no/such/command"))
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "Nobody was told of the failure" in record.message
    assert "/no/such/command" in record.message


def test_a_command_that_hangs_is_left(
    connections: Connections,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = tmp_path / "slow"
    script.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(job, "_SECONDS_TO_TELL", 0.5)
    alert.tell(context_of(None), settings(VALUE_PROPS_COMMAND=shlex.quote(str(script))))
    assert "Nobody was told of the failure" in caplog.text
    assert "timed out" in caplog.text


def test_a_connection_that_cannot_be_read_shows_no_secret(
    connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    broken = connection(password=f"xoxb-{SECRET}", extra={"channel": {SECRET: 1}})
    connections(value_props_slack=broken)
    alert.tell(context_of(None), settings())
    assert "Nobody was told of the failure: TypeError" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("extra", "port", "mode", "taken"),
    [
        ({"disable_tls": True}, None, "ssl", 465),
        ({}, 4465, "ssl", 4465),
        ({"disable_ssl": True}, 587, "starttls", 587),
        ({"disable_ssl": True}, None, "starttls", 25),
        ({"disable_ssl": True, "disable_tls": True}, None, "insecure", 25),
    ],
)
def test_a_mail_connection_becomes_a_url(
    extra: dict[str, Any], port: int | None, mode: str, taken: int
) -> None:
    found = connection(
        host="smtp.example.org",
        port=port,
        login="robot@example.org",
        password="a/b:c@d?e#f&g%h+i",
        extra={**extra, "from_email": "airflow@example.org"},
    )
    service = Apprise.instantiate(alert.mail_url(found, ("one@e.org", "two@e.org")))
    assert (service.secure_mode, service.port) == (mode, taken)
    assert (service.smtp_host, service.user) == ("smtp.example.org", "robot@example.org")
    assert service.password == found.password
    assert service.from_addr[1] == "airflow@example.org"
    assert [address for _, address in service.targets] == ["one@e.org", "two@e.org"]
    assert alert.mail_url(found, ()) == ""


@pytest.mark.parametrize(
    ("extra", "channel"),
    [({}, "#value-props"), ({"channel": "#some"}, "#some"), ({"channel": "C0123"}, "C0123")],
)
def test_a_slack_connection_becomes_a_url(extra: dict[str, str], channel: str) -> None:
    token = "xoxb-123456789-AbCdEf-gHiJkL"
    service = Apprise.instantiate(alert.slack_url(connection(password=token, extra=extra)))
    assert service.access_token == token
    assert [f"{found}" for found in service.channels] == [channel]
