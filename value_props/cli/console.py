"""What the command prints: printable characters only, and no reason for a result to change."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from value_props.errors import printable

_STDERR = 2


def start_in_utf_8() -> None:
    """Start the program again in Python's UTF-8 mode where the locale has another encoding.

    DuckDB takes the names of files for UTF-8, and so must this process. What it prints stays in
    the encoding of the terminal.
    """
    if sys.getfilesystemencoding().lower().replace("-", "") == "utf8":
        return
    terminal = sys.stdout.encoding if sys.stdout else "utf-8"
    variables = {"PYTHONIOENCODING": terminal, **os.environ, "PYTHONUTF8": "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], variables)  # nosec B606


def prepare_streams() -> None:
    """Have characters that the terminal lacks printed as escapes, and stand in for closed streams.

    A file that is opened while one of them is closed would get its number, and what is printed.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(number)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def say(line: str = "") -> None:
    """Print a line of the result to stdout.

    Raises:
        OSError: nobody reads it, or the disk is full.
    """
    print(printable(line), file=sys.stdout)  # noqa: T201


def complain(line: str = "") -> None:
    """Print a line to stderr; that nobody can read it is no error."""
    with suppress(OSError):
        print(printable(line), file=sys.stderr)  # noqa: T201


def say_json(value: object) -> None:
    """Print a value as JSON, dates and decimals as text; valid in any encoding of the terminal.

    Raises:
        OSError: as say.
    """
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    text = json.dumps(value, indent=2, default=str, ensure_ascii=encoding != "utf8")
    print("".join(map(_in_json, text)), file=sys.stdout)  # noqa: T201


def _in_json(char: str) -> str:
    """A character of a JSON text; what is not printable stands in a string, where escapes may."""
    return char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1]


@contextmanager
def result_stands() -> Iterator[None]:
    """Print what was done: it stays done where the output can't be written."""
    with suppress(OSError):
        yield
    _closed(sys.stdout)


def close_streams() -> bool:
    """Write out what was printed, so that the end of the process can't change its exit code.

    Returns:
        Whether the result was written; that nobody can read what stderr says is no error.
    """
    _closed(sys.stderr)
    return _closed(sys.stdout)


def _closed(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        # The interpreter flushes once more when it ends.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        return False
    return True
