"""Run the command in a separate process that starts at once, because its imports are loaded.

A fork server imports this module, and with it dbt, once. Each run is forked from it. So a test
can start, stop and kill hundreds of runs.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import dbt.cli.main  # noqa: F401
import pytest

from value_props.cli import program as cli
from value_props.publish import folder_lock  # noqa: F401
from value_props.run import backfill, build, forget  # noqa: F401
from value_props.spark import load  # noqa: F401

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parents[1]
LONGEST_SECONDS = 300


class Started:
    """A run of the command in a separate process.

    Args:
        arguments: arguments of `value-props`.
        output: file for its standard output and standard error.
        environment: variables to set; an empty text removes a variable.
        prepare: called in the process before the command starts.
    """

    def __init__(
        self,
        arguments: tuple[str | Path, ...],
        output: Path,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self.output = output
        output.unlink(missing_ok=True)
        self.process: ForkServerProcess = _server().Process(
            target=_run,
            args=([*map(str, arguments)], str(output), dict(environment or {}), prepare),
        )
        self.process.start()

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, if it has not ended."""
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, number)

    def wait(self, seconds: float = LONGEST_SECONDS) -> int:
        """Wait for the end, and return the exit code; for a signal, its negative number."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            raise AssertionError(f"it did not end in {seconds} s: {self.said}")
        return code

    @property
    def said(self) -> str:
        """The whole output as one line; empty if the command did not start."""
        if not self.output.exists():
            return ""
        return " ".join(self.output.read_text(encoding="utf-8", errors="replace").split())


def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patched:
        # Otherwise the fork server does not know the import path of this process.
        patched.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(ROOT)]))
        # In a locale that is not UTF-8 the command restarts itself, which a fork cannot do.
        patched.setenv("PYTHONUTF8", "1")
        forkserver.ensure_running()
    return context


def _run(
    arguments: list[str],
    output: str,
    environment: dict[str, str],
    prepare: Callable[[], object] | None,
) -> None:
    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number in (1, 2):
        os.dup2(stream, number)
    for name, text in environment.items():
        os.environ.pop(name, None)
        if text:
            os.environ[name] = text
    os.chdir(ROOT)
    sys.argv = ["value-props", *arguments]
    if prepare:
        prepare()
    cli.program()
