"""Make Feast serve the run that is current now: run it after each publish, rollback and forget.

Feast would leave the rows of users who have no row any more in its online store, and it applies no
TTL when it reads that store. So this builds the registry and the online store anew in a folder
beside them, and then switches. A failed or killed refresh leaves the old ones in place.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import shutil
import sqlite3
import sys
import warnings
from datetime import UTC, datetime, time
from pathlib import Path

import pyarrow.parquet as pq
import yaml
from feast import FeatureStore, RepoConfig

HERE = Path(__file__).resolve().parent
SETTINGS = yaml.safe_load((HERE / "feature_store.yaml").read_text(encoding="utf-8"))
REGISTRY = (HERE / SETTINGS["registry"]["path"]).resolve()
ONLINE = (HERE / SETTINGS["online_store"]["path"]).resolve()
DRAFT = ONLINE.parent / "draft"


def main() -> None:
    """Build the registry and the online store of the current run, and switch to them.

    Raises:
        SystemExit: there is no features.parquet, or Feast did not take all its rows.
    """
    DRAFT.parent.mkdir(parents=True, exist_ok=True)
    with (DRAFT.parent / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # This finds the current run. Before the lock it might find one that a second refresh has
        # replaced by now.
        import definitions as run

        # A killed refresh may have left it.
        shutil.rmtree(DRAFT, ignore_errors=True)
        DRAFT.mkdir()
        # Feast records both moments.
        first = datetime.combine(run.FEATURE_DATE, time(), UTC)
        build(run.OBJECTS, first, datetime.combine(run.LAST_DAY, time(23, 59, 59), UTC))
        count = check(run.FILE, len(run.TYPES))
        switch()
        shutil.rmtree(DRAFT)
    days = f"{run.FEATURE_DATE} to {run.LAST_DAY}"
    sys.stdout.write(f"Feast serves {count:,} rows for {days}: {run.FILE}\n")


def build(objects: list[object], first: datetime, last: datetime) -> None:
    """Fill the draft with the definitions, and with the rows from first to last."""
    settings = SETTINGS | {
        "registry": SETTINGS["registry"] | {"path": str(DRAFT / REGISTRY.name)},
        "online_store": SETTINGS["online_store"] | {"path": str(DRAFT / ONLINE.name)},
    }
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # Feast calls on-demand views experimental, and their API stable.
        warnings.simplefilter("ignore")
        store = FeatureStore(config=RepoConfig(**settings))
        store.apply(objects)
        store.materialize(first, last)


def check(file: Path, features: int) -> int:
    """Return the number of rows in the draft.

    Args:
        file: features.parquet.
        features: number of features of a row. The store has a row for each.

    Raises:
        SystemExit: the draft has more or fewer rows than the file.
    """
    expected: int = pq.read_metadata(file).num_rows
    with contextlib.closing(sqlite3.connect(DRAFT / ONLINE.name)) as draft:
        values = draft.execute("select count(*) from value_props_user_features").fetchone()[0]
    if values != expected * features:
        raise SystemExit(f"Feast took {values // features:,} of the {expected:,} rows of {file}.")
    return expected


def switch() -> None:
    """Replace what is served, in one transaction.

    A service that has the file open sees the new rows with its next request. With a write-ahead log
    it need not wait while the file is written.
    """
    with (
        contextlib.closing(sqlite3.connect(DRAFT / ONLINE.name)) as draft,
        contextlib.closing(sqlite3.connect(ONLINE)) as served,
    ):
        served.execute("pragma journal_mode = wal")
        draft.backup(served)
        served.execute("pragma wal_checkpoint(truncate)")
    (DRAFT / REGISTRY.name).replace(REGISTRY)


if __name__ == "__main__":
    main()
