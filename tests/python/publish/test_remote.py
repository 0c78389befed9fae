"""An out path in a bucket: whatever is broken off, the last good set stays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError
from support.bucket_runs import LAKE, publish, published
from support.kills import KilledError, names_of
from support.s3_server import BUCKET, S3Server, stop_in_an_upload

from value_props.errors import ExitCode, ValuePropsError
from value_props.publish import bucket as module
from value_props.publish import bucket_lock
from value_props.publish.bucket import Bucket
from value_props.publish.out_path import MANIFEST, REPORT, RUNS_KEPT, OutPath


@pytest.fixture(autouse=True)
def _environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    # A run that was killed keeps the next one out for no longer than this.
    monkeypatch.setattr(bucket_lock, "LOCK_SECONDS", 0.3)
    monkeypatch.setattr(module, "RETRIES", 0)


def wait_for_the_lock() -> None:
    threading.Event().wait(0.35)


def intercept(
    monkeypatch: pytest.MonkeyPatch, judge: Callable[[int, Callable[[], Any]], Any]
) -> Iterator[int]:
    """Hand each request that writes to a function: its number from 0, and a call that sends it.

    Returns:
        The numbers that are left.
    """
    numbers, lock = count(), threading.Lock()

    def intercepted(request: Callable[..., Any]) -> Callable[..., Any]:
        def stand_in(*arguments: Any, **options: Any) -> Any:
            with lock:
                number = next(numbers)
            return judge(number, partial(request, *arguments, **options))

        return stand_in

    for name in ("put", "delete"):
        monkeypatch.setattr(obstore, name, intercepted(getattr(obstore, name)))
    return numbers


def killed(wanted: int, number: int, send: Callable[[], Any]) -> Any:
    """A process that is gone sends nothing more."""
    if number >= wanted:
        raise KilledError
    return send()


def unheard(wanted: int, error: BaseException, number: int, send: Callable[[], Any]) -> Any:
    """The request arrives, and its answer does not."""
    answer = send()
    if number == wanted:
        raise error
    return answer


def test_a_run_on_another_machine_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    for number in range(1, 8):
        publish(tmp_path / str(number % 2), "twice", f"run_{number}")
    names = Bucket(f"s3://{BUCKET}/twice").entries()
    assert set(published("twice").values()) == {"run_7"}
    assert len({name.split("/")[1] for name in names if name.startswith("runs/")}) == RUNS_KEPT
    assert len({name.split("/")[1] for name in names if name.startswith("quality/")}) == 7
    assert not [name for name in names if name.startswith(".")]
    here = OutPath(tmp_path / "0")
    assert len(list(here.history.iterdir())) == 6


# The lock is renewed by a thread, which dies with the run.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_kill_at_any_request_shows_the_files_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wanted in count():
        prefix = f"killed_{wanted}"
        publish(tmp_path / prefix / "a", prefix, "1")
        with monkeypatch.context() as patched:
            numbers = intercept(patched, partial(killed, wanted))
            with suppress(KilledError):
                publish(tmp_path / prefix / "a", prefix, "2")
            is_killed = next(numbers) > wanted
        assert set(published(prefix).values()) in ({"1"}, {"2"})
        wait_for_the_lock()
        # A run whose manifest is there is whole: one may go back to it.
        entries = Bucket(f"{LAKE}/{prefix}").entries("runs")
        for name in entries:
            if name.endswith(MANIFEST):
                run = name.removesuffix(MANIFEST)
                assert {run + each for each in names_of(REPORT)} <= set(entries), wanted
        # Another machine, which has nothing of the killed run.
        publish(tmp_path / prefix / "b", prefix, "3")
        assert set(published(prefix).values()) == {"3"}
        if not is_killed:
            break
    assert wanted > 8


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), GenericError("no answer")], ids=["interrupted", "lost"]
)
def test_what_is_not_heard_of_any_request_leaves_the_files_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(bucket_lock, "LOCK_SECONDS", 60)
    for wanted in count():
        prefix = f"unheard_{type(error).__name__}_{wanted}"
        publish(tmp_path / prefix / "a", prefix, "1")
        with monkeypatch.context() as patched:
            numbers = intercept(patched, partial(unheard, wanted, error))
            with suppress(KeyboardInterrupt, ValuePropsError):
                publish(tmp_path / prefix / "a", prefix, "2")
            is_over = next(numbers) <= wanted
        shown = set(published(prefix).values())
        assert shown in ({"1"}, {"2"}), wanted
        with suppress(FileNotFoundError):
            Bucket(f"{LAKE}/{prefix}").remove([bucket_lock.LOCK])
        publish(tmp_path / prefix / "a", prefix, "3")
        assert set(published(prefix).values()) == {"3"}
        if is_over:
            break
    assert shown == {"2"}
    assert wanted > 8


def test_a_server_that_stops_in_the_middle_leaves_the_last_good_set(
    tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "a", "stopped", "1")
    upload = Bucket.upload

    def stopped(self: Bucket, files: dict[str, Path]) -> None:
        server.stop()
        upload(self, files)

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "upload", stopped)
        with pytest.raises(ValuePropsError, match="does not answer") as caught:
            publish(tmp_path / "a", "stopped", "2")
    assert caught.value.exit_code == ExitCode.NOT_PUBLISHED
    server.start()
    assert set(published("stopped").values()) == {"1"}
    wait_for_the_lock()
    publish(tmp_path / "a", "stopped", "3")
    assert set(published("stopped").values()) == {"3"}


def test_a_process_that_is_killed_while_it_uploads_leaves_the_last_good_set(
    tmp_path: Path,
) -> None:
    publish(tmp_path / "a", "process", "1")
    program = """
import sys
from pathlib import Path
from support.bucket_runs import publish
publish(Path(sys.argv[1]), "process", "2")
"""
    stop_in_an_upload(program, tmp_path / "a")
    assert set(published("process").values()) == {"1"}
    bucket = Bucket(f"s3://{BUCKET}/process")
    assert any(name.startswith("runs/2/") for name in bucket.entries())
    bucket.write(bucket_lock.LOCK, b'{"expires_at": 0}')
    publish(tmp_path / "a", "process", "3")
    assert set(published("process").values()) == {"3"}
    assert not any(name.startswith("runs/2/") for name in bucket.entries())
