"""Find raw files that still hold lines of users who must be forgotten."""

from __future__ import annotations

import json
from collections.abc import Collection

from value_props.errors import ValuePropsError
from value_props.ingest import Inventory
from value_props.ingest.read import reader, sql
from value_props.ingest.stage import stage

# Line numbers to show for each file. Nobody needs all, because one searches for the user to
# remove the lines.
SHOWN = 10


def refuse_users(inventory: Inventory, users: Collection[int]) -> None:
    """Refuse the raw files if they hold lines of these users.

    Args:
        inventory: the raw files.
        users: values of user_id, 1 to 2^63 - 1.

    Raises:
        ValuePropsError: there are such lines. The error names their files and line numbers.
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
