"""Show dbt the features that earlier runs published, so that it can compare the mart with them.

They are the view `published.features` in the database of a run, and only while dbt runs: the files
behind it may be removed later than the run's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from value_props.database import literal, opened, parquet_rows
from value_props.errors import ValuePropsError
from value_props.files import sha256_of
from value_props.logs import logger
from value_props.publish.out_path import FEATURES, OutPath
from value_props.publish.publisher import Publisher
from value_props.record import history
from value_props.run.request import Run

_COLUMNS = {
    "run_id": "varchar",
    "lookback_anchor": "varchar",
    "lookback_weeks": "integer",
    "feature_date": "date",
    "user_id": "bigint",
    "value_prop": "varchar",
    "prior_views": "bigint",
    "prior_clicks": "bigint",
    "prior_payments": "bigint",
    "prior_amount": "decimal(18, 2)",
}


@dataclass(frozen=True)
class PublishedFeatures:
    """features.parquet of a kept run.

    Args:
        run_id: the run.
        path: the file.
        anchor: lookback_anchor of the run.
        weeks: lookback_weeks of the run.
    """

    run_id: str
    path: Path
    anchor: str
    weeks: int

    @property
    def query(self) -> str:
        """SQL for the rows of the file."""
        return (
            f"select {literal(self.run_id)} as run_id, {literal(self.anchor)} as lookback_anchor,"  # nosec B608
            f" {self.weeks} as lookback_weeks, * from {parquet_rows([self.path])}"
        )


def drops_features(run: Run, out: OutPath) -> bool:
    """Return whether the current run published features, and this run does not."""
    current = out.current_run_id()
    if current is None or run.request.serves_features:
        return False
    return _listed(out, current)[1] is not None


@contextmanager
def shown_to_dbt(run: Run, publisher: Publisher) -> Iterator[None]:
    """Context manager in which the database of a serving run has the view `published.features`.

    Args:
        run: the run. Nothing happens if it does not build features.
        publisher: the publisher of its out path, in a session.

    Raises:
        ValuePropsError: the store of the files failed.
    """
    if not run.request.serves_features:
        yield
        return
    with opened(run.database) as connection:
        stage_features(connection, _published(publisher))
    try:
        yield
    finally:
        with opened(run.database) as connection:
            connection.execute("drop schema if exists published cascade")


def stage_features(
    connection: duckdb.DuckDBPyConnection, features: Sequence[PublishedFeatures]
) -> None:
    """Create the view `published.features` in a database: all rows of published features."""
    nothing = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in _COLUMNS.items())
    selects = [f"select {nothing} where false", *(each.query for each in features)]
    connection.execute("create schema published")
    connection.execute(f"create view published.features as {' union all '.join(selects)}")


def _published(publisher: Publisher) -> list[PublishedFeatures]:
    """List the features that served: of each day and lookback, those of the newest run."""
    out = publisher.out
    newest: dict[tuple[Any, ...], tuple[str, str]] = {}
    for run_id in history.runs_made_current(out):
        manifest, sha256 = _listed(out, run_id)
        if sha256:
            given, day = manifest["parameters"], manifest["window"]["feature_date"]
            newest[given["lookback_anchor"], given["lookback_weeks"], day] = run_id, sha256
    return [
        PublishedFeatures(run_id, path, anchor, weeks)
        for (anchor, weeks, _), (run_id, sha256) in newest.items()
        if (path := _undamaged(publisher, run_id, sha256))
    ]


def _listed(out: OutPath, run_id: str) -> tuple[dict[str, Any], str | None]:
    """Return the manifest of a kept run, and the sha256 of its features; None without them.

    A manifest that cannot be read lists nothing. `value-props verify` reports it.
    """
    try:
        manifest = out.manifest_of(run_id)
        hashes = {output["name"]: output["sha256"] for output in manifest["outputs"]}
    except (ValuePropsError, KeyError):
        return {}, None
    return manifest, hashes.get(FEATURES)


def _undamaged(publisher: Publisher, run_id: str, sha256: str) -> Path | None:
    """Return the published features of a run; None if they are damaged, which stops no run."""
    publisher.pull_file(run_id, FEATURES)
    path = publisher.out.runs / run_id / FEATURES
    if path.is_file() and sha256_of(path) == sha256:
        return path
    logger.warning("step=features problem=%s is damaged, and is not compared with the mart", path)
    return None
