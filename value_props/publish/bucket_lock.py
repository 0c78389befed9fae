"""One build at a time in a bucket: a lock that its holder renews, and that expires without it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError

from value_props.errors import ExitCode, RefusedError, ValuePropsError
from value_props.logs import logger
from value_props.publish.bucket import Bucket
from value_props.publish.folder_lock import holder_of

LOCK = ".lock.json"
# Seconds after its last renewal at which a lock expires; another run may then take it.
LOCK_SECONDS = 120


@contextmanager
def locked(bucket: Bucket, run_id: str) -> Iterator[Lock]:
    """Context manager that holds the lock of a prefix and renews it in a thread.

    Raises:
        RefusedError: another run holds it (exit code LOCKED).
        ValuePropsError: the store fails.
    """
    lock = Lock(bucket, run_id)
    lock.take()
    ended = threading.Event()
    renewal = threading.Thread(target=lock.renew_until, args=(ended,), daemon=True)
    renewal.start()
    try:
        yield lock
    finally:
        ended.set()
        renewal.join()
        lock.release()


@dataclass
class Lock:
    """The lock of a bucket: an object that one run at a time can create, and must renew.

    Args:
        bucket: the prefix to lock.
        run_id: the run, or the command, that wants the lock.
        version: the store's version of this run's last write; None while the lock is not held.
    """

    bucket: Bucket
    run_id: str
    version: Any = None
    # The renewal thread and the run both write the lock and its version.
    _alone: threading.RLock = field(default_factory=threading.RLock)

    def take(self) -> None:
        """Create the lock object, or take over an expired one.

        Raises:
            RefusedError: another run holds it (exit code LOCKED).
        """
        with self.bucket.errors_explained("take its lock"):
            try:
                self._put("create")
            except AlreadyExistsError:
                self._take_over()

    def _take_over(self) -> None:
        found = self._read()
        if found is None:
            # The holder has just released it.
            return self.take()
        holder: dict[str, Any] = {"expires_at": 0}
        with suppress(ValueError):
            holder = json.loads(bytes(found.bytes()))
        if holder["expires_at"] > time.time():
            raise self._held_by(holder)
        try:
            self._put(_version_of(found.meta))
        except PreconditionError as error:
            raise self._held_by({}) from error
        logger.warning("step=lock problem=the lock of run %s had expired", holder.get("run_id"))
        return None

    def renew_until(self, ended: threading.Event) -> None:
        """Renew the lock every third of LOCK_SECONDS. Stop if another run took it."""
        while not ended.wait(LOCK_SECONDS / 3):
            try:
                self._renew()
            except (ValuePropsError, PreconditionError, FileNotFoundError) as error:
                logger.warning("step=lock problem=the lock could not be renewed: %s", error)
                if not isinstance(error, ValuePropsError):
                    self.version = None
                    return

    def check(self) -> None:
        """Renew the lock, so that the next step has LOCK_SECONDS.

        Raises:
            ValuePropsError: the lock was lost (exit code NOT_PUBLISHED).
        """
        try:
            self._renew()
        except (PreconditionError, FileNotFoundError) as error:
            self.version = None
            raise ValuePropsError(
                "the lock expired during the run, and another run may have taken it",
                f"Bucket {self.bucket.address}",
                "Run again",
                ExitCode.NOT_PUBLISHED,
            ) from error

    def release(self) -> None:
        """Remove the lock object, if this run still holds it."""
        with suppress(ValuePropsError, PreconditionError, FileNotFoundError):
            if self.version:
                self._renew()
                self.bucket.remove([LOCK])

    def _renew(self) -> None:
        with self._alone, self.bucket.errors_explained("renew its lock"):
            if not self.version:
                raise PreconditionError("not held")
            self._put(self.version)

    def _put(self, mode: Any) -> None:
        content = self._content()
        try:
            result = obstore.put(self.bucket.store, LOCK, content, mode=mode)
        except (AlreadyExistsError, PreconditionError):
            # A retry after a lost answer finds the object that the first request wrote.
            found = self._read()
            if found is None or bytes(found.bytes()) != content:
                raise
            result = found.meta
        self.version = _version_of(result)

    def _read(self) -> Any:
        with suppress(FileNotFoundError):
            return obstore.get(self.bucket.store, LOCK)
        return None

    def _content(self) -> bytes:
        holder = {**holder_of(self.run_id), "expires_at": time.time() + LOCK_SECONDS}
        return json.dumps(holder).encode()

    def _held_by(self, holder: Mapping[str, Any]) -> RefusedError:
        return RefusedError(
            f"another run holds the lock: run {holder['run_id']} on {holder['host']}"
            if {"run_id", "host"} <= holder.keys()
            else "another run has just taken the lock",
            f"Bucket {self.bucket.address}",
            "Wait until it is over and run again; the lock of a killed run expires in"
            f" {LOCK_SECONDS} s",
            ExitCode.LOCKED,
        )


def _version_of(meta: Any) -> dict[str, str]:
    """Return the version for a conditional write: ETag on S3 and Azure, a number on GCS."""
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name)}
