"""Print results and errors: only printable characters, and no change of the exit code."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from value_props.errors import printable

# Rich takes as long to import as the rest of the command line, and most commands do without.
if TYPE_CHECKING:
    from rich.console import Console

_STDERR = 2
_WIDTH = 100
_NARROWEST = 80


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


def complain(line: str = "", *, red: str = "") -> None:
    """Print a line to stderr, and ignore an error of the stream.

    Args:
        line: the line.
        red: the beginning of the line that is red where colours are shown.
    """
    text = printable(line)
    head = printable(red)
    if head and text.startswith(head) and has_colours(sys.stderr):
        text = f"\x1b[31m{head}\x1b[0m{text[len(head) :]}"
    with suppress(OSError):
        print(text, file=sys.stderr)  # noqa: T201


def complain_of(lines: Sequence[str]) -> None:
    """Print the lines of an error to stderr as a paragraph, wrapped.

    Commands of value-props in it become those that work here, on the same out path.
    """
    complain()
    for number, text in enumerate([*lines, *words_of_make(" ".join(lines))]):
        line = re.sub("`value-props ([^`]*)`", _command_here, text)
        where, colon, _ = line.partition(": ")
        for part in _wrapped(line):
            complain(part, red="" if number else (where + colon).rstrip())


def _command_here(command: re.Match[str]) -> str:
    line = f"{program_here()} {command[1]}"
    out = _out_given()
    if out and "--out" not in line:
        line += f" --out {shlex.quote(out)}"
    return f"`{line}`"


def _out_given() -> str:
    """Return the --out of this command line; empty without one."""
    found = ""
    for text, following in pairwise([*sys.argv, ""]):
        if text == "--out":
            found = following
        elif text.startswith("--out="):
            found = text.partition("=")[2]
    return found


def words_of_make(text: str) -> Iterator[str]:
    """Say how to give the flags of a text to the make that called this command.

    Its Makefile says so itself: `--flag "$$NAME"`, or `--flag="$$NAME"` if the flag is a switch.
    """
    makefile = Path("Makefile")
    if "MAKELEVEL" not in os.environ or not makefile.is_file():
        return
    given = re.findall(r'(--[a-z-]+)([ =])"\$\$([A-Z_]+)"', makefile.read_text(encoding="utf-8"))
    names: dict[str, set[str]] = {}
    for flag, sign, name in given:
        names.setdefault(flag, set()).add(name + ("=1" if sign == "=" else "=…"))
    # A command line is to be used as it stands.
    prose = re.sub(r"`[^`]*`", "", text)
    found = dict.fromkeys(re.findall(r"(?<![\w-])--[a-z-]+", prose))
    # Two commands may call one flag by two names, and the text may be of either.
    sure = {flag: min(spelled) for flag, spelled in names.items() if len(spelled) == 1}
    if told := [f"{sure[flag]} for {flag}" for flag in found if flag in sure]:
        yield f"With make, write {', '.join(told)}."


def program_here() -> str:
    """Return how to call this command here: make users have it in .venv/bin only."""
    if shutil.which("value-props") or not os.access(sys.argv[0], os.X_OK):
        return "value-props"
    return short_path(str(Path(sys.argv[0]).absolute()))


def short_path(path: str) -> str:
    """Return a path below the current folder as relative to it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return path


def _wrapped(line: str) -> list[str]:
    indent = "  " if line.startswith("- ") else ""
    text = textwrap.fill(
        line,
        min(_WIDTH, _columns(sys.stderr) or _WIDTH),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return text.splitlines()


def _columns(stream: TextIO) -> int:
    """Return the width of the terminal; 0 without a terminal, and if it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def is_terminal(stream: TextIO) -> bool:
    """Return whether a person reads the stream. FORCE_COLOR does not make a pipe a terminal."""
    return stream.isatty()


def can_redraw(stream: TextIO) -> bool:
    """Return whether the stream is a terminal that can erase what it shows."""
    return is_terminal(stream) and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def has_colours(stream: TextIO) -> bool:
    """Return whether to colour what goes to the stream; see no-color.org."""
    return can_redraw(stream) and not os.environ.get("NO_COLOR")


def console_of(stream: TextIO, width: int | None = None) -> Console:
    """Return rich's console for a stream. Without colours it writes no bold or italic text either.

    Args:
        stream: the stream.
        width: width of its lines; None for that of the terminal.
    """
    from rich.console import Console

    class WithCursor(Console):
        def show_cursor(self, show: bool = True) -> bool:
            """Leave the cursor as it is: a killed command could not show it again."""
            return False

    return WithCursor(
        file=stream,
        width=width,
        force_terminal=is_terminal(stream),
        color_system="auto" if has_colours(stream) else None,
        # Text of the data is no markup, and its numbers are not coloured.
        markup=False,
        emoji=False,
        highlight=False,
    )


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


def print_table(
    title: str, rows: Sequence[Mapping[str, Any]], *, is_always_table: bool = False
) -> None:
    """Print rows as a table; a single row as a list of its values, unless is_always_table.

    Raises:
        OSError: as for say.
    """
    if not rows:
        say(f"{title}: none")
        say()
        return
    say(f"{title}:")
    if len(rows) == 1 and not is_always_table:
        for name, value in rows[0].items():
            say(f"  {name}: {value}")
        say()
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    for number, name in enumerate(rows[0]):
        values = [row[name] for row in rows]
        cells = list(map(_cell, values))
        table.add_column(
            _header(name, cells),
            justify="right" if any(map(_is_count, values)) else "left",
            overflow="fold",
            # The first column identifies the row, so it stays on one line to be copied.
            no_wrap=number == 0 or not any(isinstance(value, str) for value in values),
        )
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    # A file or pipe has no width, so lines are not wrapped.
    width = max(_NARROWEST, _columns(sys.stdout)) if is_terminal(sys.stdout) else 10_000
    console_of(sys.stdout, width).print(table)
    say()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if _is_count(value) else printable(str(value))


def _header(name: str, cells: Sequence[str]) -> str:
    """Return the name of a column in lines, so that it is hardly wider than what stands below."""
    words = name.replace("_", " ")
    return textwrap.fill(words, max(map(len, [*cells, *words.split()])))


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
