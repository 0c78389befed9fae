"""The command in a process of its own that starts in no time: what it imports is loaded already.

A server of processes imports dbt once, and each run is forked from it. So a test can start, stop
and kill hundreds of runs. This module is what that server imports.
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
    """A run of the command.

    Args:
        arguments: of `value-props`.
        output: the file that gets what it prints.
        environment: variables to set; an empty text removes one.
        prepare: called in its process before the command is.
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
        """Send it a signal, if it has not ended."""
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, number)

    def wait(self, seconds: float = LONGEST_SECONDS) -> int:
        """Its exit code; negative is the signal that ended it."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            raise AssertionError(f"it did not end in {seconds} s: {self.said}")
        return code

    @property
    def said(self) -> str:
        """All that it printed, as one line; nothing where it did not come to its start."""
        if not self.output.exists():
            return ""
        return " ".join(self.output.read_text(encoding="utf-8", errors="replace").split())


def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patched:
        # The server does not know the path of its parent otherwise.
        patched.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(ROOT)]))
        # In a locale that is not UTF-8 the command starts itself again, and what is forked can't.
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
