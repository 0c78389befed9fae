"""`value-props notify`: a scheduler tells of the last try as the build would have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.harness import Answer, value_props
from support.http_receiver import SECRET, Receiver, receiving, with_status

from value_props.notify import alerts

LINES = ("--line=Airflow: manual__1, try 2", "--line=Log: http://127.0.0.1:8081/dags/a?b=c")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with receiving() as found:
        yield found


def notify(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], *arguments: str | Path
) -> Answer:
    with monkeypatch.context() as patched:
        for name, text in environ.items():
            patched.setenv(name, text)
        return value_props("--debug", "notify", *arguments)


def failed_run(out: Path) -> str:
    """A run that failed at once, told to nobody; its id."""
    answer = value_props("build", "--raw", out.parent / "none", "--out", out)
    assert answer.returncode == 2
    return max(path.name for path in (out / "quality").iterdir())


def test_a_failed_run_is_told_with_its_findings_and_lines(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run_id = failed_run(out)
    environ = receiver.environ(alerts.SLACK_WEBHOOK, alerts.WEBHOOK)
    environ[alerts.NOTIFY] = f"json://{receiver.address}/{SECRET}"
    answer = notify(monkeypatch, environ, run_id, "--out", out, "--exit-code=2", *LINES)
    assert answer.returncode == 0, answer.text
    assert "Alerts sent: 3." in answer.text
    assert SECRET not in answer.text

    told = receiver.payload(alerts.WEBHOOK)
    assert (told["event"], told["run_id"], told["verdict"]) == ("failed", run_id, "failed")
    assert "there is no such folder" in told["findings"][0]
    assert told["page"] == str(out / "last_run" / "report.html")
    assert told["reason"] == "it cannot run (exit 2)"
    assert told["notes"] == [line.partition("=")[2] for line in LINES]

    [body] = [body for _, path, body in receiver.requests if path == f"/{SECRET}"]
    message = json.loads(body)
    assert message["title"] == "value-props failed: it cannot run (exit 2)"
    lines = message["message"].split("\n")
    assert lines[1:] == [f"Run {run_id}: failed", f"Report: {told['page']}", *told["notes"]]
    text = receiver.payload(alerts.SLACK_WEBHOOK)["text"].split("\n")
    assert text == [message["title"], f"• {told['findings'][0]}", *lines[1:]]


@pytest.mark.parametrize(
    ("exit_code", "title"),
    [
        ("1", "value-props failed: the data failed the gate (exit 1)"),
        ("3", "value-props failed: another run holds the lock (exit 3)"),
        ("4", "value-props failed: it passed but was not published (exit 4)"),
        ("-9", "value-props failed: it was killed (exit -9)"),
        ("77", "value-props failed: unknown (exit 77)"),
        (None, "value-props failed"),
    ],
)
def test_a_build_that_began_no_run_is_told(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, exit_code: str | None, title: str
) -> None:
    environ = receiver.environ(alerts.SLACK_WEBHOOK)
    answer = notify(monkeypatch, environ, *([f"--exit-code={exit_code}"] if exit_code else []))
    assert answer.returncode == 0, answer.text
    text = receiver.payload(alerts.SLACK_WEBHOOK)["text"]
    assert text.split("\n") == [title, "It had not begun a run; the log says why"]


def test_a_run_without_a_report_is_told(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_run(tmp_path / "out")
    for out in (tmp_path / "out", tmp_path / "elsewhere"):
        receiver.requests.clear()
        environ = receiver.environ(alerts.WEBHOOK)
        answer = notify(monkeypatch, environ, "some-run", "--out", out, "--exit-code=-9")
        assert answer.returncode == 0, answer.text
        told = receiver.payload(alerts.WEBHOOK)
        assert (told["run_id"], told["findings"], told["page"]) == ("some-run", [], None)


def test_an_older_run_is_told_without_the_page_of_the_last(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = failed_run(out)
    assert failed_run(out) != first
    notify(monkeypatch, receiver.environ(alerts.WEBHOOK), first, "--out", out)
    assert receiver.payload(alerts.WEBHOOK)["page"] is None


def test_a_receiver_that_was_not_told_is_an_error_without_its_secret(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answer = with_status(500)
    environ = {
        alerts.NOTIFY: f"json://{receiver.address}/{SECRET} nonsense-{SECRET}",
        **receiver.environ(alerts.WEBHOOK),
    }
    answer = notify(monkeypatch, environ, "--exit-code=1")
    assert answer.returncode == 2
    assert "3 of 3 receivers did not accept it" in answer.text
    assert "receiver=1:json problem=status 500" in answer.text
    assert SECRET not in answer.text


def test_a_long_line_is_shortened(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = receiver.environ(alerts.WEBHOOK)
    notify(monkeypatch, environ, f"--line={'word ' * 1000}", "--line=a\nb")
    long, short = receiver.payload(alerts.WEBHOOK)["notes"]
    assert 500 < len(long) <= alerts.SENTENCE_LENGTH
    assert short == "a b"


def test_nobody_needs_to_be_configured() -> None:
    answer = value_props("notify", "--exit-code=1")
    assert (answer.returncode, answer.text) == (0, "Alerts sent: 0.")
