"""The lock of a local out path: one run at a time. The system frees it when the process ends.

The lock of a bucket is in bucket_lock.py. We do not use the library filelock: readers such as
`value-props history` must see whether the lock is held, but may lack write permission. filelock can
only find out by taking the lock, and opens its file for writing.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from value_props.errors import ExitCode, RefusedError

_TRIES = 5
_SECONDS_BETWEEN = 0.05


@contextmanager
def exclusive(lock_path: Path, run_id: str) -> Iterator[None]:
    """Context manager that holds the lock.

    Args:
        lock_path: the lock file, created if missing.
        run_id: the run, or the name of the command, for messages to others.

    Raises:
        RefusedError: another process holds it (exit code LOCKED).
    """
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            _take(descriptor)
        except BlockingIOError as error:
            raise RefusedError(
                f"another run holds the lock: {_holder(descriptor)}",
                f"Lock {lock_path}",
                "Wait until it ends, or end its process, and run again; that frees the lock",
                ExitCode.LOCKED,
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder_of(run_id)).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_held(lock_path: Path) -> bool:
    """Return whether a process holds the lock. Needs only read permission."""
    try:
        descriptor = os.open(lock_path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int) -> None:
    """Take the lock. Retry briefly, because is_held() holds it for an instant."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_SECONDS_BETWEEN)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder_of(run_id: str) -> dict[str, Any]:
    """Return run_id, pid and host of this process, for messages to others who want the lock."""
    return {"run_id": run_id, "pid": os.getpid(), "host": socket.gethostname()}


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"run {holder['run_id']}, process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError):
        return "a run that has just begun or ended"
