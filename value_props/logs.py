"""Logging: one line per step, to stderr and to the log file of the run."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from value_props.errors import printable

logger = logging.getLogger("value_props")

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S"


def configure(is_debug: bool) -> None:
    """Log to stderr: each step, and with is_debug also each model and test."""
    logger.handlers.clear()
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    handler = _without_lock(logging.StreamHandler())
    handler.setLevel(logging.DEBUG if is_debug else logging.INFO)
    handler.setFormatter(_formatter())
    logger.addHandler(handler)


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
    logger.debug("step=%s status=started", name)
    try:
        yield fields
    except BaseException:
        logger.debug("step=%s status=failed seconds=%.2f", name, time.monotonic() - start)
        raise
    seconds[name] = round(time.monotonic() - start, 3)
    details = "".join(f" {key}={value}" for key, value in fields.items())
    logger.info("step=%s seconds=%.2f%s", name, seconds[name], details)


@contextmanager
def log_and_continue(name: str) -> Iterator[None]:
    """Context manager that logs an error of the block and goes on, so that the result stands."""
    try:
        yield
    except Exception as fault:
        logger.warning("step=%s problem=%s: %s", name, type(fault).__name__, fault)


class NodeProgress:
    """Progress of a dbt run: a bar if stderr is a terminal, and always a DEBUG line per node."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description:<48.48}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("dbt build", total=None)

    def __enter__(self) -> NodeProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_event(self, event: Any) -> None:
        """Handle a dbt event: the start gives the number of nodes, an end advances the bar."""
        if event.info.name == "LogStartLine":
            self._bar.update(self._task, total=event.data.total)
        if event.info.name != "NodeFinished":
            return
        node = event.data.node_info
        logger.debug(
            "node=%s kind=%s status=%s", node.node_name, node.resource_type, node.node_status
        )
        self._bar.update(self._task, advance=1, description=node.node_name)


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
