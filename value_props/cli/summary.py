"""Print what a passed run published: for a person in a terminal, in lines elsewhere, or as JSON."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_props.cli.console import (
    complain,
    console_of,
    is_terminal,
    program_here,
    say,
    say_json,
    short_path,
    words_of_make,
)
from value_props.cli.options import DEFAULT_OUT
from value_props.cli.output import Output
from value_props.errors import printable
from value_props.publish.out_path import DATABASE, MANIFEST

# It imports all that a build needs.
if TYPE_CHECKING:
    from value_props.run.build import Published

DRIFT_REMARK = (
    "Drift does not stop a run. If the raw files are wrong, correct them and build again."
)
SAMPLE_REMARK = "This is sample data, wholly or partly: `value-props sample` made it up."


def print_published(published: Published, output: Output) -> None:
    """Print what a run published, as the user asks.

    Raises:
        OSError: the reader of the pipe is gone, or the disk is full.
    """
    if output.is_quiet:
        if published.kept_back:
            # Readers have another result than the one that was asked for.
            complain(_kept_back(published))
        return
    if output.is_json:
        say_json(published.manifest)
        if published.kept_back:
            complain(_kept_back(published))
    elif is_terminal(sys.stdout):
        _print_for_people(published)
    else:
        _print_lines(published)


def week_of(manifest: Mapping[str, Any]) -> str:
    """Name the report weeks of a manifest, with their dates."""
    weeks = manifest["report_weeks"]
    first, last = weeks[0], weeks[-1]
    span = f"week {last['iso_week']}"
    if len(weeks) > 1:
        span = f"weeks {first['iso_week']} to {last['iso_week']}"
    window = manifest["window"]
    return f"{span} ({first['week_start_date']} to {window['report_end_date']})"


def lookback_of(manifest: Mapping[str, Any]) -> str:
    """Say how long the lookback of a manifest is, and when."""
    weeks, length = manifest["report_weeks"], manifest["parameters"]["lookback_weeks"]
    span = f"{length} week{'' if length == 1 else 's'}"
    if manifest["parameters"]["lookback_anchor"] == "print":
        return f"{span} before the day of each print"
    if len(weeks) > 1:
        return f"{span} before the Monday of each week"
    last_day = date.fromisoformat(weeks[0]["lookback_end_date"]) - timedelta(days=1)
    return f"{span}, {weeks[0]['lookback_start_date']} to {last_day}"


def command_line(out: str, *arguments: str) -> str:
    """Return a command line on an out path, as it works here.

    Args:
        out: the folder or address of the out path.
        arguments: name of the command, and its other arguments.
    """
    return shlex.join([program_here(), *arguments, *_out_arguments(out)])


def _print_lines(published: Published) -> None:
    """Print the summary in lines that do not change with the terminal."""
    manifest = published.manifest
    counts = _counts(manifest)
    files_in, manifest_in, remark = _found_in(published)
    for warning in manifest["warnings"]:
        say(f"Warning: {warning}.")
    for remark_on_warnings in _remarks_on_warnings(manifest):
        say(remark_on_warnings)
    say(f"{'Built' if published.kept_back else 'Published'} {week_of(manifest)}.")
    say(f"Lookback: {lookback_of(manifest)}. Raw files: {manifest['raw_path']}.")
    say(
        f"Rows: {counts['read']:,} read, {counts['kept']:,} kept,"
        f" {counts['quarantined']:,} quarantined; {manifest['rows_in_mart']:,} in the mart."
    )
    if counts["after_cut_off"]:
        say(f"  {counts['after_cut_off']:,} of the kept rows are {_ignored(manifest)}.")
    if manifest["rows_in_features"] is not None:
        say(
            f"Features: {manifest['rows_in_features']:,} rows, for ranking from"
            f" {manifest['window']['feature_date']} on."
        )
    if counts["quarantined"]:
        say(f"  `from quality.quarantined_rows` in {DATABASE} lists them with their reasons.")
    for name in _files(manifest):
        say(f"  {files_in}/{name}")
    say(f"  {manifest_in}/{MANIFEST}")
    if remark:
        say(remark)
    if manifest["is_sample_data"]:
        say(SAMPLE_REMARK)
    if published.kept_back:
        say(_kept_back(published))


def _print_for_people(published: Published) -> None:
    """Print the summary as wide as the terminal."""
    manifest = published.manifest
    files_in, manifest_in, remark = _found_in(published)
    screen = _Screen()
    if published.kept_back:
        screen.head("Built", f"{week_of(manifest)}, and kept it back.", "bold yellow")
        screen.text(_kept_back(published))
    else:
        screen.head("Published", f"{week_of(manifest)}.", "bold green")
    screen.text(
        f"Lookback: {lookback_of(manifest)}. Raw files: {short_path(manifest['raw_path'])}."
    )
    if manifest["is_sample_data"]:
        screen.text(SAMPLE_REMARK)
    screen.listed("Rows", _rows(manifest))
    if manifest["warnings"]:
        screen.listed(
            "Warnings", [("-", f"{warning}.") for warning in manifest["warnings"]], "bold yellow"
        )
    for remark_on_warnings in _remarks_on_warnings(manifest):
        screen.text(remark_on_warnings)
    names = _files(manifest)
    if manifest_in == files_in:
        names.append(MANIFEST)
    screen.listed(f"Files in {short_path(files_in)}", [("", name) for name in names])
    if manifest_in != files_in:
        screen.listed(f"Manifest in {short_path(manifest_in)}", [("", MANIFEST)])
    if remark:
        screen.text(remark)
    run = [manifest["run_id"]] if published.kept_back else []
    screen.command("Open the report", command_line(published.publisher.place.name, "open", *run))
    screen.command("Query the database", f"duckdb -readonly {shlex.quote(_database(published))}")


class _Screen:
    """The terminal. All text is made printable and wrapped, but no command line is."""

    def __init__(self) -> None:
        from rich.table import Table
        from rich.text import Text

        self._console, self._table, self._text = console_of(sys.stdout), Table, Text

    def head(self, word: str, text: str, style: str) -> None:
        """Print the first line, with a word in colour."""
        self._console.print(self._text.assemble((word, style), f" {printable(text)}"))

    def text(self, text: str) -> None:
        """Print a paragraph."""
        self._console.print(self._text(printable(text)))

    def listed(self, title: str, rows: list[tuple[str, str]], style: str = "bold") -> None:
        """Print a title, and below it rows of a number or mark and a text."""
        self._console.print()
        self._console.print(self._text(printable(title), style))
        table = self._table.grid(padding=(0, 1))
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="fold")
        for mark, text in rows:
            table.add_row(f" {mark}", self._text(printable(text)))
        self._console.print(table)

    def command(self, title: str, line: str) -> None:
        """Print a command line. It is not wrapped, so that it can be copied."""
        self._console.print()
        self._console.print(self._text(title, "bold"))
        self._console.print(self._text(f"  {printable(line)}"), soft_wrap=True)


def _rows(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the numbers of rows, each with what became of them."""
    counts = _counts(manifest)
    rows = [(f"{counts['read']:,}", "read"), (f"{counts['kept']:,}", "kept")]
    if after := counts["after_cut_off"]:
        rows.append((f"{after:,}", f"of them {_ignored(manifest)}"))
    quarantined = counts["quarantined"]
    where = ", and listed in quality.quarantined_rows:" if quarantined else ""
    rows.append((f"{quarantined:,}", f"quarantined{where}"))
    rows += [("", reasons) for reasons in _reasons(manifest)]
    rows.append((f"{manifest['rows_in_mart']:,}", "in the mart"))
    if (features := manifest["rows_in_features"]) is not None:
        first_day = manifest["window"]["feature_date"]
        rows.append((f"{features:,}", f"in features.parquet, for ranking from {first_day} on"))
    return rows


def _counts(manifest: Mapping[str, Any]) -> dict[str, int]:
    names = ("read", "kept", "quarantined", "after_cut_off")
    return {name: sum(row[f"rows_{name}"] or 0 for row in manifest["inputs"]) for name in names}


def _ignored(manifest: Mapping[str, Any]) -> str:
    cut_off = manifest["parameters"]["as_of_date"]
    return f"ignored, because they are dated after {cut_off}"


def _reasons(manifest: Mapping[str, Any]) -> list[str]:
    """Return for each source how many rows are quarantined for which reasons."""
    found: dict[str, Counter[str]] = {}
    for row in manifest["inputs"]:
        found.setdefault(row["source"], Counter()).update(row["quarantined_by_reason"] or {})
    return [
        f"{source}: {', '.join(f'{count:,} {reason}' for reason, count in reasons.most_common())}"
        for source, reasons in found.items()
        if reasons
    ]


def _files(manifest: Mapping[str, Any]) -> list[str]:
    """Return the names of the files, and of folders with the number of their files."""
    files = Counter(output["name"].partition("/")[0] for output in manifest["outputs"])
    return [f"{name} ({count} files)" if count > 1 else name for name, count in files.items()]


def _remarks_on_warnings(manifest: Mapping[str, Any]) -> list[str]:
    warnings = manifest["warnings"]
    has_drift = any(warning.startswith("Drift: ") for warning in warnings)
    return [*([DRIFT_REMARK] if has_drift else []), *words_of_make(" ".join(warnings))]


def _found_in(published: Published) -> tuple[str, str, str | None]:
    return published.publisher.readers_find(published.manifest["run_id"], published.is_current)


def _kept_back(published: Published) -> str:
    run_id, place = published.manifest["run_id"], published.publisher.place
    text = (
        f"{published.kept_back}, so it stays current. This run is only kept. To make it current:"
        f" `{command_line(place.name, 'rollback', '--to', run_id)}`, or build with --make-current."
    )
    return " ".join([text, *words_of_make(text)])


def _database(published: Published) -> str:
    """Return the database on this machine; for a bucket it is in the cache."""
    out = published.publisher.out
    folder = out.root if published.is_current else out.runs / published.manifest["run_id"]
    return short_path(str(folder / DATABASE))


def _out_arguments(out: str) -> list[str]:
    """Return the arguments that name the out path; none if it is the default."""
    default = os.environ.get("VALUE_PROPS_OUT") or str(DEFAULT_OUT)
    is_default = out in (default, str(Path(default).absolute()))
    return [] if is_default else ["--out", short_path(out)]
