"""The progress of a run: one line in the terminal, which is erased at the end.

It follows the lines of the log, so that the rooms below know of no terminal.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.text import Text

from value_props.cli.console import console_of
from value_props.errors import printable
from value_props.logs import Advance

# What a person reads while a step runs. A step is logged under its name.
STEPS = {
    "mirror": "Fetching raw files",
    "ingest": "Reading raw files",
    "parse": "Parsing the project",
    "carry_over": "Preparing the database",
    "dbt": "Models and tests",
    "judge": "Judging the data",
    "lineage": "Sending lineage",
    "export": "Exporting",
    "history": "Writing the record",
    "report": "Writing the report",
    "manifest": "Writing the manifest",
    "upload": "Uploading",
    "publish": "Publishing",
    "load": "Exporting to the store",
    "forget": "Removing older files",
}
_FRAMES = "|/-\\"
_FRAMES_PER_SECOND = 8
# The terminal itself adds ^C to the line. If that began another line, the first would stay.
_MARGIN = 4


@contextmanager
def progress(
    doing: str, warning_of: Callable[[logging.LogRecord], str]
) -> Iterator[logging.Handler]:
    """Context manager that shows the line, and yields the log handler that it follows.

    An error of the terminal, which may be closed, is ignored.

    Args:
        doing: what to show before a step begins.
        warning_of: returns a warning of the log as the sentence to print above the line.
    """
    line = _Line(doing)
    live = Live(
        line,
        console=console_of(sys.stderr),
        transient=True,
        # Output of others would go to stderr, also what they print to stdout.
        redirect_stdout=False,
        redirect_stderr=False,
        refresh_per_second=_FRAMES_PER_SECOND,
    )
    try:
        with suppress(OSError):
            live.start(refresh=True)
        yield _Follower(line, live.console, warning_of)
    finally:
        with suppress(OSError):
            live.stop()


class _Line:
    """The line: what runs, for how long, and how many models and tests have ended.

    Args:
        doing: what to show before a step begins.
    """

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.begun = time.monotonic()
        self.running: list[str] = []
        self.node_count = 0
        self.nodes_ended = 0

    def follow(self, advance: Advance) -> None:
        """Take over what a line of the log says. Threads may call it."""
        if advance.node_count is not None:
            self.node_count = advance.node_count
        elif advance.node:
            self.nodes_ended += 1
        elif not advance.has_ended:
            self.running.append(advance.step)
        elif advance.step in self.running:
            self.running.remove(advance.step)
        # Of steps that run at the same time, show the last to begin. Between steps keep the text.
        for step in self.running[-1:]:
            self.doing = STEPS.get(step, step)
            if step == "dbt" and self.node_count:
                self.doing += f": {self.nodes_ended} of {self.node_count}"

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        elapsed = time.monotonic() - self.begun
        frame = _FRAMES[int(elapsed * _FRAMES_PER_SECOND) % len(_FRAMES)]
        minutes, seconds = divmod(int(elapsed), 60)
        text = Text(f"{frame} {minutes}:{seconds:02d}  {self.doing}", no_wrap=True)
        # Not every terminal can show an ellipsis.
        text.truncate(max(options.max_width - _MARGIN, 1), overflow="crop")
        yield text


class _Follower(logging.Handler):
    """Hands lines of the log to the line of progress, and prints warnings above it."""

    def __init__(
        self, line: _Line, console: Console, warning_of: Callable[[logging.LogRecord], str]
    ) -> None:
        super().__init__()
        self.line, self.console, self.warning_of = line, console, warning_of

    def emit(self, record: logging.LogRecord) -> None:
        """Follow a line. An error of the display must not end the run."""
        try:
            if advance := getattr(record, "advance", None):
                self.line.follow(advance)
            if record.levelno >= logging.WARNING:
                self.console.print(Text(printable(self.warning_of(record))))
        except Exception:
            self.handleError(record)
