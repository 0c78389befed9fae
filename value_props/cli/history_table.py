"""Print the history of runs as a table, and below it what is too long for one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from value_props.cli.console import print_table, program_here, say, short_path
from value_props.errors import ExitCode


def print_history(
    runs: Sequence[Mapping[str, Any]], notes: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Print runs, newest first.

    Args:
        runs: the rows of history.runs, each with `is_current` and `is_kept`.
        notes: the facts of history.forgotten by run_id.

    Raises:
        OSError: the reader of the pipe is gone, or the disk is full.
    """
    raw_paths = list(dict.fromkeys(run["raw_path"] for run in runs))
    rows = [_row_of(run, raw_paths) for run in runs]
    print_table("Runs, newest first", rows, is_always_table=True)
    for number, path in enumerate(raw_paths, 1):
        which = f" {number}" if len(raw_paths) > 1 else ""
        say(f"Raw files{which}: {short_path(path)}")
    for run in runs:
        for remark in _remarks_on(run, notes.get(run["run_id"], ())):
            say(f"{run['run_id']}: {remark}")
    if any(run["status"] == "failed" for run in runs):
        say(f"All that was wrong with a run: `{program_here()} report RUN`")


def _row_of(run: Mapping[str, Any], raw_paths: Sequence[str]) -> dict[str, Any]:
    last_week = run["last_week_start_date"]
    raw = {"raw files": raw_paths.index(run["raw_path"]) + 1} if len(raw_paths) > 1 else {}
    return {
        "run": run["run_id"],
        "week": last_week and f"{last_week:%G-W%V}",
        "lookback": run["lookback_weeks"],
        **raw,
        "rows read": run["rows_read"],
        "quarantined": run["rows_quarantined"],
        "in mart": run["rows_in_mart"],
        "result": ", ".join(_result_of(run)),
    }


def _result_of(run: Mapping[str, Any]) -> Iterator[str]:
    status = run["status"]
    if run["is_current"]:
        yield "current"
    elif status == "published":
        # One that passed and was kept back, readers never saw.
        yield "was current" if run["is_made_current"] else "kept back"
    else:
        yield status
    for count, how in ((run["tests_failed"], "failed"), (run["tests_warned"], "warned")):
        if count:
            yield f"{count:,} test{'s' * (count > 1)} {how}"
    if run["exit_code"] == ExitCode.PUBLISHED and not run["is_kept"]:
        yield "files removed"


def _remarks_on(run: Mapping[str, Any], notes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if run["problem"] and run["status"] == "failed":
        # A run has up to a dozen problems, of some sentences each.
        yield re.split(r"\. |; ", run["problem"], maxsplit=1)[0]
    for note in notes:
        yield f"published to forget users; number of users: {note['users']:,}"
