"""What the user asks of the output: --log, --quiet and --json; and where lines of the log go."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from value_props import logs
from value_props.cli.console import can_redraw, complain

Command = TypeVar("Command", bound=Callable[..., Any])
LOG_MEANING = "Print lines of the log to stderr in a terminal too, in place of progress."
DEBUG_MEANING = "Like --log, with every model and test; and show tracebacks."


@dataclass(frozen=True)
class Output:
    """What the user asks of the output of a command.

    Args:
        is_debug: log every model and test, and show tracebacks.
        has_log: lines of the log go to stderr in a terminal too.
        is_quiet: print nothing if the command succeeds.
        is_json: print the manifest as JSON in place of the summary.

    Raises:
        click.UsageError: --quiet together with a flag that asks for output.
    """

    is_debug: bool = False
    has_log: bool = False
    is_quiet: bool = False
    is_json: bool = False

    def __post_init__(self) -> None:
        if self.is_quiet and (self.is_debug or self.has_log or self.is_json):
            raise click.UsageError(
                "--quiet prints nothing on success, so it cannot be used with --json, --log or"
                " --debug."
            )

    @property
    def shows_log(self) -> bool:
        """Whether lines of the log go to stderr: if asked, and where no progress can be shown."""
        return self.is_debug or self.has_log or not can_redraw(sys.stderr)

    @property
    def shows_progress(self) -> bool:
        """Whether the command shows its progress."""
        return not (self.is_quiet or self.shows_log)


def ask(context: click.Context, output: Output) -> None:
    """Keep what the user asks of the output in the context, and log accordingly."""
    context.obj = output
    _log_to(output)


def _flag(flag: str, field: str, meaning: str) -> Callable[[Command], Command]:
    """Add a flag that sets a field of the Output in the context."""

    def note(context: click.Context, _option: click.Parameter, is_given: bool) -> None:
        if is_given:
            ask(context, replace(context.obj, **{field: True}))

    return click.option(flag, is_flag=True, expose_value=False, callback=note, help=meaning)


_log = _flag("--log", "has_log", LOG_MEANING)
_debug = _flag("--debug", "is_debug", DEBUG_MEANING)
quiet_option = _flag(
    "--quiet", "is_quiet", "Print nothing on success. Not with --json, --log or --debug."
)
json_option = _flag(
    "--json", "is_json", "Print the manifest of the run as JSON in place of the summary."
)


def log_options(command: Command) -> Command:
    """Add --log and --debug, which also stand before the name of the command."""
    return _log(_debug(command))


def _log_to(output: Output) -> None:
    if output.is_quiet:
        logs.configure(logging.NullHandler())
    elif output.shows_log:
        logs.configure(logs.stderr_handler(output.is_debug))
    else:
        logs.configure(_Warnings())


@contextmanager
def watching(output: Output, doing: str) -> Iterator[None]:
    """Context manager that shows the progress of its block in a terminal, and erases it at the end.

    Args:
        output: what the user asks of the output.
        doing: what the command does before the first step of a run.
    """
    if not output.shows_progress:
        yield
        return
    # Imported here, because rich loads slowly.
    from value_props.cli.progress import progress

    with progress(doing, warning_of) as handler:
        logs.configure(handler)
        try:
            yield
        finally:
            _log_to(output)


def warning_of(record: logging.LogRecord) -> str:
    """Return a warning of the log as a sentence: what is wrong, and the fields of its line."""
    line = record.getMessage().removeprefix("step=")
    head, is_split, problem = line.partition("problem=")
    step, _, fields = head.strip().partition(" ")
    if not is_split:
        return f"Warning: {line}."
    return f"Warning: {step}: {problem}{f' ({fields})' if fields else ''}."


class _Warnings(logging.Handler):
    """Prints warnings only. The log file of the run has all lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        if record.levelno >= logging.WARNING:
            complain(warning_of(record))
