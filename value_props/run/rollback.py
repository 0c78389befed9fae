"""Make an older passed run the published one again."""

from __future__ import annotations

from typing import Any

from value_props.publish.lock import exclusive
from value_props.publish.places import Place
from value_props.publish.publisher import existing_publisher, roll_back
from value_props.record import history
from value_props.run.ending import replace_metrics_after_rollback

COMMAND = "rollback"


def rollback(place: Place, run_id: str | None) -> dict[str, Any]:
    """Go back to an older run.

    Args:
        place: the out path.
        run_id: of the run; None for the one that was current before.

    Returns:
        Its manifest.

    Raises:
        ValuePropsError: there is none to go back to, its files are damaged, or the store fails.
        RefusedError: another run holds the lock.
    """
    publisher = existing_publisher(place)
    out = publisher.out
    with exclusive(out.lock, COMMAND), publisher.session(COMMAND):
        now = run_id or history.run_before(out)
        roll_back(publisher, now)
        history.settle(out)
        replace_metrics_after_rollback(out)
    return out.manifest_of(now)
