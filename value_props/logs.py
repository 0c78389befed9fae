"""Logging: one line per step. The command chooses where lines go; a run adds its log file."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from value_props.errors import printable

logger = logging.getLogger("value_props")

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S"


@dataclass(frozen=True)
class Advance:
    """What a line says about how far the run is. The attribute `advance` of its record holds it.

    Args:
        step: name of the step.
        has_ended: whether the step ended, also by an error.
        node_count: number of dbt nodes that the step runs; None if the line does not say.
        node: the dbt node that ended; empty if the line is about the step.
    """

    step: str
    has_ended: bool = False
    node_count: int | None = None
    node: str = ""


def configure(handler: logging.Handler) -> None:
    """Send all lines to a handler, and to no other."""
    logger.handlers.clear()
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(_without_lock(handler))


def stderr_handler(is_debug: bool) -> logging.Handler:
    """Return a handler that writes each step to stderr, and with is_debug each model and test."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.DEBUG if is_debug else logging.INFO)
    handler.setFormatter(_formatter())
    return handler


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Context manager in which all lines, including DEBUG, also go to a file."""
    handler = _without_lock(logging.FileHandler(path, encoding="utf-8"))
    handler.setFormatter(_formatter())
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        # Closing flushes the last lines, which fails on a full disk.
        with suppress(OSError):
            handler.close()


@contextmanager
def step(name: str, seconds: dict[str, float], **fields: Any) -> Iterator[dict[str, Any]]:
    """Context manager that times a step and logs one line at its end.

    Args:
        name: name of the step.
        seconds: dictionary that gets the wall time in seconds under the name.
        fields: key=value pairs for the line.

    Yields:
        The dictionary of the fields, to which the block may add.
    """
    start = time.monotonic()
    logger.debug("step=%s status=started", name, extra=_told(Advance(name)))
    try:
        yield fields
    except BaseException:
        logger.debug(
            "step=%s status=failed seconds=%.2f",
            name,
            time.monotonic() - start,
            extra=_told(Advance(name, has_ended=True)),
        )
        raise
    seconds[name] = round(time.monotonic() - start, 3)
    details = "".join(f" {key}={value}" for key, value in fields.items())
    logger.info(
        "step=%s seconds=%.2f%s",
        name,
        seconds[name],
        details,
        extra=_told(Advance(name, has_ended=True)),
    )


@contextmanager
def log_and_continue(name: str) -> Iterator[None]:
    """Context manager that logs an error of the block and goes on, so that the result stands."""
    try:
        yield
    except Exception as fault:
        logger.warning("step=%s problem=%s: %s", name, type(fault).__name__, fault)


def log_node(event: Any) -> None:
    """Log a dbt event: the start gives the number of nodes, and each node that ends is a line."""
    if event.info.name == "LogStartLine":
        count = event.data.total
        logger.debug("step=dbt nodes=%s", count, extra=_told(Advance("dbt", node_count=count)))
    if event.info.name == "NodeFinished":
        node = event.data.node_info
        logger.debug(
            "node=%s kind=%s status=%s",
            node.node_name,
            node.resource_type,
            node.node_status,
            extra=_told(Advance("dbt", node=node.node_name)),
        )


def _told(advance: Advance) -> dict[str, Advance]:
    return {"advance": advance}


class _NoLock:
    """Replaces the lock of a log handler to avoid a deadlock.

    A signal interrupts the main thread anywhere. If it held the lock of a handler, other threads
    would wait for the lock, and the main thread for them. Each line is written in one call, so no
    lock is needed.
    """

    def acquire(self) -> bool:
        """Do nothing."""
        return True

    def release(self) -> None:
        """Do nothing."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def _without_lock(handler: logging.Handler) -> logging.Handler:
    handler.lock = _NoLock()  # type: ignore[assignment]
    # On a full disk the run itself reports the error. A traceback per line would hide that.
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    return handler


class _Formatter(logging.Formatter):
    """Formatter that keeps a message on one line, even if it quotes raw text."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _formatter() -> logging.Formatter:
    formatter = _Formatter(_FORMAT, _TIME)
    formatter.converter = time.gmtime
    return formatter
