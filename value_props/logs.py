"""Logging of a run: one line a step, to stderr and to the log file of the run."""

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
    """Send the log to stderr: steps, and with is_debug every model and test."""
    logger.handlers.clear()
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    handler = _without_lock(logging.StreamHandler())
    handler.setLevel(logging.DEBUG if is_debug else logging.INFO)
    handler.setFormatter(_formatter())
    logger.addHandler(handler)


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Write every line, DEBUG included, to a file as well."""
    handler = _without_lock(logging.FileHandler(path, encoding="utf-8"))
    handler.setFormatter(_formatter())
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        # On a full disk it still holds lines.
        with suppress(OSError):
            handler.close()


@contextmanager
def step(name: str, seconds: dict[str, float], **fields: Any) -> Iterator[dict[str, Any]]:
    """Time a step and log one line at its end.

    Args:
        name: of the step.
        seconds: where its wall time goes, by name.
        fields: logged with it; the block may add more to the dictionary it is given.
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
    """Log what goes wrong in the block, and go on: it must not change or hide the result."""
    try:
        yield
    except Exception as fault:
        logger.warning("step=%s problem=%s: %s", name, type(fault).__name__, fault)


class NodeProgress:
    """Follows the models and tests of a dbt run: a bar in a terminal, DEBUG lines always."""

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
        """Take an event of dbt: a start says how many nodes there are, an end counts."""
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
    """Stands in for the lock of a handler of the log.

    A signal that ends a run is raised wherever the main thread is. Had it just taken a lock, other
    threads would wait for it, and the main thread for them. A line is written in one call, and so
    needs none.
    """

    def acquire(self) -> bool:
        """Take it at once."""
        return True

    def release(self) -> None:
        """Give nothing back."""

    def __enter__(self) -> None:
        """Take it at once."""

    def __exit__(self, *_: object) -> None:
        """Give nothing back."""


def _without_lock(handler: logging.Handler) -> logging.Handler:
    handler.lock = _NoLock()  # type: ignore[assignment]
    # Of a full disk the run tells itself; a traceback for each line would bury that.
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    return handler


class _Formatter(logging.Formatter):
    """One line, whatever the raw text that it quotes."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _formatter() -> logging.Formatter:
    formatter = _Formatter(_FORMAT, _TIME)
    formatter.converter = time.gmtime
    return formatter
