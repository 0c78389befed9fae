"""Find the report page of a run, and open it in the browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

from value_props.errors import ValuePropsError
from value_props.publish.out_path import PAGE
from value_props.publish.publisher import Publisher
from value_props.record import report_files

# Without one of these, a Linux machine has no browser but those in the terminal, which would take
# the place of the shell.
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def page_of(publisher: Publisher, run_id: str | None, is_last: bool) -> Path:
    """Return the report page of a run.

    Args:
        publisher: the publisher of the out path, which has fetched what is published.
        run_id: a kept run, or the failed run whose files are in last_run/; None for the published
            run.
        is_last: return that of the last run that has a report, which may have failed.

    Raises:
        ValuePropsError: there is no such run, or its page is not on this machine.
    """
    out = publisher.out
    if is_last:
        run_id = report_files.report_of(out, None)["run"]["run_id"]
    elif run_id is None:
        return _published_page(publisher)
    if run_id == report_files.failed_run(out):
        page = out.last_run / PAGE
    else:
        out.check_kept(run_id)
        publisher.pull_file(run_id, PAGE)
        page = out.runs / run_id / PAGE
    if not page.exists():
        raise ValuePropsError(
            f"run {run_id} has no {PAGE} on this machine",
            f"Out path {publisher.place.name}",
            f"`value-props report {run_id}` prints its findings",
        )
    return page


def _published_page(publisher: Publisher) -> Path:
    page = publisher.out.root / PAGE
    if not page.exists():
        last = report_files.last_report(publisher.out)
        raise ValuePropsError(
            "nothing is published there",
            f"Out path {publisher.place.name}",
            "Check --out, or publish with `value-props build`"
            + ("; --last opens the report of the failed run" if last else ""),
        )
    return page


def open_in_browser(page: Path) -> bool:
    """Open a page in the browser of the user. Return whether there is one."""
    if sys.platform != "darwin" and not any(os.environ.get(name) for name in _DISPLAYS):
        return False
    try:
        return webbrowser.open(page.as_uri())
    except webbrowser.Error:
        return False
