"""Roll back: make another passed run current, as a rule the one before."""

from __future__ import annotations

from typing import Any

from value_props.publish.folder_lock import exclusive
from value_props.publish.places import Place
from value_props.publish.publisher import existing_publisher, roll_back
from value_props.record import history
from value_props.run.ending import replace_metrics_after_rollback

COMMAND = "rollback"


def rollback(place: Place, run_id: str | None) -> tuple[dict[str, Any], str | None]:
    """Make another kept run current.

    Args:
        place: the out path.
        run_id: the run to go back to; None for the run that was current before.

    Returns:
        The manifest of the run that is now current, and the id of the run that was before.

    Raises:
        ValuePropsError: no such run is kept, its files are damaged, or the store fails.
        RefusedError: another run holds the lock.
    """
    publisher = existing_publisher(place)
    out = publisher.out
    with exclusive(out.lock, COMMAND), publisher.session(COMMAND):
        before, now = out.current_run_id(), run_id or history.run_before(out)
        roll_back(publisher, now)
        history.settle(out)
        replace_metrics_after_rollback(out)
    return out.manifest_of(now), before
