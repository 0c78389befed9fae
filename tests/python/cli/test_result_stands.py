"""What a run did stands, whatever becomes of its output, its log and its record."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.harness import CLEAN, COMMAND, ROOT, begun, build, history_of, value_props

from value_props.errors import printable
from value_props.publish.out_path import OutPath
from value_props.record import history
from value_props.record.facts import Ended
from value_props.run import build as job


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run the command in bash, which has pipes; COMMAND stands for it."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.replace('COMMAND', shlex.join(COMMAND))}"],
        cwd=ROOT,
        # Unbuffered streams hide what a buffer still holds at the end.
        env={key: text for key, text in os.environ.items() if key != "PYTHONUNBUFFERED"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_published_run_exits_with_0_whoever_reads_its_output(out: Path) -> None:
    where = f"--out {shlex.quote(str(out))}"
    what = f"--raw {shlex.quote(str(CLEAN))} --run-date 2020-12-01"
    known = len(history_of(out))
    for sink in (">/dev/full", "| true", ">/dev/full 2>&1", ">&- 2>&-"):
        answer = shell(f"COMMAND build {what} {where} {sink}")
        assert answer.returncode == 0, (sink, answer.stderr, history_of(out)[0])
        assert "Traceback" not in answer.stderr
        assert "Exception ignored" not in answer.stderr
        known += 1
        assert [run["status"] for run in history_of(out)] == ["published"] * known
    # Of these the output is the result.
    assert shell(f"COMMAND report {where} >/dev/full").returncode == 2
    assert shell(f"COMMAND history {where} --json >/dev/full").returncode == 2


def no_space(*_: object, **__: object) -> None:
    """Stands for a step, on a disk that is full."""
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere")


@pytest.mark.parametrize(
    ("owner", "step"), [(OutPath, "prune"), (history, "commit"), (job, "remove_tree")]
)
def test_what_fails_after_the_switch_is_logged_only(
    out: Path, monkeypatch: pytest.MonkeyPatch, owner: object, step: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(owner, step, no_space)
        answer = build(out)
    assert "No space left on device" in answer.stderr
    # The next run settles what was left undone.
    build(out)
    assert [run["exit_code"] for run in history_of(out)] == [0, 0, 0]


@pytest.mark.parametrize("step", ["add_run", "switch_to"])
def test_what_fails_before_the_switch_is_a_failure_to_publish(
    out: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = (out / "manifest.json").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(OutPath, step, no_space)
        build(out, exit_code=4)
    assert {run["exit_code"] for run in history_of(out)} == {0, 4}
    assert (out / "manifest.json").read_bytes() == before
    assert len(list((out / "runs").iterdir())) == 1


def test_an_interrupt_after_the_switch_leaves_a_published_run(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(OutPath, "prune", interrupted)
        build(out)
    assert [run["exit_code"] for run in history_of(out)] == [0, 0]


def test_a_failed_run_without_a_record_is_told_as_failed(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(out / "quality")
    with monkeypatch.context() as patched:
        patched.setattr(history, "stage", no_space)
        answer = value_props("build", "--raw", tmp_path / "nowhere", "--out", out)
    assert answer.returncode == 2
    assert list((out / "quality").glob("*")) == []
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    [run] = history_of(out)
    assert run["status"] == "failed"
    assert run["exit_code"] == 2
    assert "there is no such folder" in run["problem"]
    # To read the history is to write nothing.
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    build(out)
    # Both may have begun in the same second.
    assert {(run["status"], run["exit_code"]) for run in history_of(out)} == {
        ("published", 0),
        ("failed", 2),
    }


def test_the_end_of_a_run_needs_no_room(tmp_path: Path) -> None:
    out = OutPath(tmp_path)
    out.work.mkdir()
    history.begin(out, begun("run"))
    note = out.work / history.BEGUN
    size = note.stat().st_size
    for problem in ("x", "ñ中" * 10_000, None):
        history.note_end(out, Ended("failed", 2, problem))
        assert note.stat().st_size == size
        unsettled = history._unsettled(out)
        assert unsettled is not None
        assert unsettled.ended.problem == (problem[:600] if problem else None)


opened_for_writing: list[str] = []


def see_what_is_opened(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what Python opens for writing; an audit hook stays for good."""
    if event == "open" and isinstance(arguments[2], int):
        path, _, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            opened_for_writing.append(str(path))


sys.addaudithook(see_what_is_opened)


def test_reading_the_history_writes_nothing(tmp_path: Path) -> None:
    """So it can be read from a folder that cannot be written; root could write there."""
    out = tmp_path / "out"
    value_props("build", "--raw", tmp_path / "nowhere", "--out", out, exit_code=2)
    before = sorted(out.rglob("*"))
    assert any(path.startswith(str(out)) for path in opened_for_writing)
    opened_for_writing.clear()
    assert [run["status"] for run in history_of(out)] == ["failed"]
    assert [path for path in opened_for_writing if path.startswith(str(out))] == []
    assert sorted(out.rglob("*")) == before


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ñ 中 ✓", "plain ñ 中 ✓"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\rb\nc\td", r"a\rb\nc\td"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp", r"\u202egnp"),
        (os.fsdecode(b"\xff"), r"\xff"),
        ("\x00\x7f", r"\x00\x7f"),
    ],
)
def test_only_printable_characters_are_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_raw_text_cannot_write_a_line_of_its_own(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evil = "x\x1b[1A\x1b[2KWarning: all is well.\u202e"
    row = {
        "day": "2020-11-28",
        "event_data": {"position": 0, "value_prop": evil},
        "user_id": 7,
    }
    with (raw / "prints.json").open("a", encoding="utf-8") as prints:
        prints.write(json.dumps(row) + "\n")
        prints.write(json.dumps({**row, "user_id": "\x1b]0;title\x07"}) + "\n")
        prints.write(json.dumps({**row, "\x1b[7m": 1, "user_id": 8}) + "\n")
    given = ("--raw", raw, "--run-date", "2020-12-01")
    answers = [
        value_props("build", *given, "--out", out),
        value_props("report", "--out", out),
        value_props("history", "--out", out),
        value_props("check", *given),
        value_props("check", *given, "--json"),
    ]
    for answer in answers:
        assert answer.returncode == 0, answer.stderr
        assert "\x1b[1A" not in answer.stdout + answer.stderr
        assert "\u202e" not in answer.stdout + answer.stderr
    assert r'Value prop "x\x1b[1A\x1b[2KWarning: all is well.\u202e" is not in' in answers[0].stdout
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\x1b" not in (out / "current" / "run.log").read_text(encoding="utf-8")
