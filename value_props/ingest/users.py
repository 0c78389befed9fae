"""Which raw files still hold users of whom nothing is to be kept."""

from __future__ import annotations

import json
from collections.abc import Collection

from value_props.errors import ValuePropsError
from value_props.ingest import Inventory
from value_props.ingest.read import reader, sql
from value_props.ingest.stage import stage

# Of the lines of a file; whoever removes them searches for the user anyway.
SHOWN = 10


def refuse_users(inventory: Inventory, users: Collection[int]) -> None:
    """Refuse raw files that hold lines of some users.

    Args:
        inventory: of the raw files.
        users: their user_id, 1 to 2^63 - 1.

    Raises:
        ValuePropsError: it names the files.
    """
    with reader() as connection:
        stage(connection, inventory)
        found = connection.execute(
            sql("lines_of_users"), {"users": json.dumps(sorted(users))}
        ).fetchall()
    if found:
        raise ValuePropsError(
            "they still hold lines of a user who is to be forgotten",
            "Raw files",
            "Remove these lines, and run this command again. Nothing was forgotten yet",
            details=[
                f"{path}: lines {', '.join(map(str, lines[:SHOWN]))}"
                + (f" and {len(lines) - SHOWN:,} more" if len(lines) > SHOWN else "")
                for path, lines in found
            ],
        )
