"""Print results and errors: only printable characters, and no change of the exit code."""

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
    """Restart the program in Python's UTF-8 mode if the locale has another encoding.

    DuckDB reads file names as UTF-8, and so must this process. Output keeps the encoding of the
    terminal.
    """
    if sys.getfilesystemencoding().lower().replace("-", "") == "utf8":
        return
    terminal = sys.stdout.encoding if sys.stdout else "utf-8"
    variables = {"PYTHONIOENCODING": terminal, **os.environ, "PYTHONUTF8": "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], variables)  # nosec B606


def prepare_streams() -> None:
    """Replace closed standard streams, and escape characters that the terminal cannot print.

    While a standard stream is closed, the next opened file would get its number, and printed text
    would go into that file.
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
        OSError: the reader of the pipe is gone, or the disk is full.
    """
    print(printable(line), file=sys.stdout)  # noqa: T201


def complain(line: str = "") -> None:
    """Print a line to stderr, and ignore an error of the stream."""
    with suppress(OSError):
        print(printable(line), file=sys.stderr)  # noqa: T201


def say_json(value: object) -> None:
    """Print a value as JSON, with dates and decimals as text. It is valid in any encoding.

    Raises:
        OSError: as for say.
    """
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    text = json.dumps(value, indent=2, default=str, ensure_ascii=encoding != "utf8")
    print("".join(map(_in_json, text)), file=sys.stdout)  # noqa: T201


def _in_json(char: str) -> str:
    """Escape an unprintable character. In JSON it can only be in a string."""
    return char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1]


@contextmanager
def result_stands() -> Iterator[None]:
    """Context manager to print what was done. Failed output does not make the command fail."""
    with suppress(OSError):
        yield
    _closed(sys.stdout)


def close_streams() -> bool:
    """Flush the streams, so that Python does not fail to at exit and change the exit code.

    Returns:
        Whether stdout was written. Errors of stderr are ignored.
    """
    _closed(sys.stderr)
    return _closed(sys.stdout)


def _closed(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        # Python flushes again at exit, so redirect the stream to /dev/null.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        return False
    return True
