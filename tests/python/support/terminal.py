"""Run a command in a real pseudo-terminal, and show what its screen holds afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

LONGEST_SECONDS = 120
# One control sequence: its parameters and its letter.
SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Shown:
    """What a command did in a terminal.

    Args:
        exit_code: its exit code; for a signal, its negative number.
        written: everything that it wrote to the terminal.
        stdout: what it wrote to stdout, if that was a pipe.
        columns: width of the terminal.
    """

    exit_code: int
    written: str
    stdout: str
    columns: int

    @property
    def screen(self) -> str:
        """The text that the terminal shows in the end, with everything that scrolled away."""
        return "\n".join(screen_of(self.written, self.columns))

    @property
    def text(self) -> str:
        """The screen as one line."""
        return " ".join(self.screen.split())


def run_in_terminal(
    command: Sequence[str | Path],
    *,
    columns: int = 80,
    variables: Mapping[str, str | None] = MappingProxyType({}),
    keys: Sequence[tuple[str, str | None]] = (),
    has_stdout: bool = True,
    cwd: Path | None = None,
) -> Shown:
    """Run a command to its end, with a terminal for stdin, stdout and stderr.

    Args:
        command: the command line.
        columns: width of the terminal.
        variables: variables to set; None removes a variable.
        keys: what to type, each once a text was written, in this order; None closes the terminal.
        has_stdout: whether stdout is the terminal too; else it is a pipe.
        cwd: folder to run in.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    # pytest-xdist sets COLUMNS, which would count more than the width of this terminal.
    size = {"COLUMNS": None, "LINES": None}
    known = {**os.environ, **size, "TERM": "xterm-256color", **variables}
    process = subprocess.Popen(
        [*map(str, command)],
        stdin=theirs,
        stdout=theirs if has_stdout else subprocess.PIPE,
        stderr=theirs,
        env={name: text for name, text in known.items() if text is not None},
        cwd=cwd,
        start_new_session=True,
        # Keys such as Ctrl-C are signals only to the processes that the terminal controls.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    written = _read_to_the_end(ours, list(keys), process)
    stdout = process.stdout.read().decode() if process.stdout else ""
    return Shown(process.wait(LONGEST_SECONDS), written, stdout, columns)


def _read_to_the_end(
    ours: int, keys: list[tuple[str, str | None]], process: subprocess.Popen[bytes]
) -> str:
    written, end = b"", time.monotonic() + LONGEST_SECONDS
    try:
        while time.monotonic() < end:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                piece = os.read(ours, 65536)
            except OSError:
                # Linux says so when nobody has the terminal open any more.
                piece = b""
            if not piece:
                return written.decode(errors="replace")
            written += piece
            if keys and keys[0][0].encode() in written:
                key = keys.pop(0)[1]
                if key is None:
                    return written.decode(errors="replace")
                os.write(ours, key.encode())
        process.kill()
        raise AssertionError(f"it did not end in {LONGEST_SECONDS} s: {written!r}")
    finally:
        os.close(ours)


def screen_of(written: str, columns: int) -> list[str]:
    """Return the lines that a terminal of this width shows.

    Raises:
        AssertionError: the text has a control character that this terminal does not know.
    """
    cursor = _Cursor(columns)
    place = 0
    while place < len(written):
        if sequence := SEQUENCE.match(written, place):
            cursor.control(*sequence.groups())
            place = sequence.end()
        else:
            cursor.put(written[place])
            place += 1
    return ["".join(row).rstrip() for row in cursor.rows]


class _Cursor:
    """A cursor and the rows of characters above and below it."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0

    def put(self, char: str) -> None:
        """Write a character, or move as it says."""
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._down()
        else:
            assert char.isprintable(), f"the terminal got {char!r}"
            if self.column == self.columns:
                self.column = 0
                self._down()
            row = self.rows[self.row]
            row.extend(" " * (self.column + 1 - len(row)))
            row[self.column] = char
            self.column += 1

    def control(self, parameters: str, letter: str) -> None:
        """Do what a control sequence says."""
        match letter:
            case "m":
                # A colour.
                pass
            case "A":
                self.row = max(0, self.row - int(parameters or 1))
            case "K" if parameters == "2":
                self.rows[self.row] = []
            case "h" | "l" if parameters == "?25":
                # The cursor is shown or hidden.
                pass
            case _:
                raise AssertionError(f"the terminal got {parameters}{letter}")

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])
