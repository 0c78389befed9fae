"""Compare fct_prints of two passed runs by key."""

from __future__ import annotations

from typing import Any

from value_props.database import opened, parquet_rows
from value_props.publish.out_path import OutPath

KEY = "print_id"


def changes(out: OutPath, before: str, after: str) -> list[dict[str, Any]]:
    """Compare the mart of two kept runs.

    Args:
        out: the out path.
        before: id of the first run.
        after: id of the second run.

    Returns:
        Rows with the keys change, column_name and rows. `added` and `lost` count prints that only
        one run has. `changed` counts prints whose value in a column differs.

    Raises:
        ValuePropsError: a run is not kept.
    """
    for run_id in (before, after):
        out.check_kept(run_id)
    with opened(None) as connection:
        for name, run_id in {"before": before, "after": after}.items():
            files = sorted((out.runs / run_id).glob(out.edition.mart))
            connection.execute(f"create view {name}_rows as from {parquet_rows(files)}")
        described = connection.execute("describe after_rows").fetchall()
        columns = [name for name, *_ in described if name != KEY]
        counted = ", ".join(
            f"count(*) filter (where before_rows.{KEY} = after_rows.{KEY}"
            f" and before_rows.{column} is distinct from after_rows.{column})"
            for column in columns
        )
        counts = connection.execute(
            f"""
            select
                count(*) filter (where before_rows.{KEY} is null),
                count(*) filter (where after_rows.{KEY} is null),
                {counted}
            from before_rows
            full outer join after_rows on before_rows.{KEY} = after_rows.{KEY}
            """  # nosec B608
        ).fetchone()
    names = [("added", None), ("lost", None), *(("changed", column) for column in columns)]
    return [
        {"change": change, "column_name": column, "rows": rows}
        for (change, column), rows in zip(names, counts or (), strict=True)
        if rows
    ]
