"""Find and read the report.json of runs. report.py writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from value_props.errors import ValuePropsError
from value_props.publish.out_path import OutPath

JSON_NAME = "report.json"


def current_report(out: OutPath) -> dict[str, Any] | None:
    """Return the report of the current run; None without a readable one."""
    run_id = out.current_run_id()
    return read_report(out.history / run_id / JSON_NAME) if run_id else None


def report_of(out: OutPath, run_id: str | None) -> dict[str, Any]:
    """Return the report of a run.

    Args:
        out: the out path.
        run_id: the run; None for the last run with a report.

    Raises:
        ValuePropsError: there is no readable report.
    """
    found = read_report(out.history / run_id / JSON_NAME) if run_id else last_report(out)
    if found is None:
        raise ValuePropsError(
            f"there is no report of {f'run {run_id}' if run_id else 'any run'}",
            f"Out path {out.root}",
            "`value-props history` lists the runs; a killed run has no report"
            if out.history.is_dir()
            else "Nothing ran there yet: check --out, or run `value-props build`",
        )
    return found


def last_report(out: OutPath) -> dict[str, Any] | None:
    """Return the report of the last run that has one; None without a readable one."""
    paths = sorted(out.history.glob(f"*/{JSON_NAME}"))
    return read_report(paths[-1]) if paths else None


def read_report(path: Path) -> dict[str, Any] | None:
    """Return the report in a file; None if there is none, or a damaged one."""
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found


def failed_run(out: OutPath) -> str | None:
    """Return the id of the failed run whose files are in last_run/; None without one."""
    if not out.last_run.is_dir():
        return None
    passed = out.run_ids()
    for path in sorted(out.history.glob(f"*/{JSON_NAME}"), reverse=True):
        report = None if path.parent.name in passed else read_report(path)
        if report and report["run"]["status"] == "failed":
            return path.parent.name
    return None


def runs_with_files(out: OutPath) -> set[str]:
    """Return the ids of kept runs, and of the failed run whose files are in last_run/."""
    failed = failed_run(out)
    return {*out.run_ids(), *([failed] if failed else [])}
