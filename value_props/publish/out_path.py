"""The published files: one folder a run, and a link that says which run is current.

    out/
      final.csv, final.parquet, value_props.duckdb, report.html, manifest.json
                        -> current/<name>; of a backfill, prints for the first two
      current           -> runs/<run_id>
      runs/<run_id>/    the files of a passed run, read-only
      metrics.prom      of the last run that ended, passed or failed
      quality/<run_id>/ the record of each run that began; see record/history.py
      last_run/         what a failed run left: its database, report and log
      .work/            of the run under way; swept by the next one
      parsed/           the rows of each raw file, shared by the runs; see ingest/keep.py
      .cache/           the parsed dbt project

The stable names all change in one step, the renaming of `current`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from value_props.errors import RefusedError, ValuePropsError, owners_of
from value_props.files import move, remove_tree, replace_link, sha256_of, sync

DATABASE = "value_props.duckdb"
PAGE = "report.html"
METRICS = "metrics.prom"
MANIFEST = "manifest.json"
RUNS_KEPT = 5
# Empty files that say something of a record; they come later than the record itself. The first:
# the run was current, and an older one is now. The other: its samples have no raw text any more.
MARKS = ROLLED_BACK, TEXTS_REMOVED = "rolled_back", "texts_removed"


@dataclass(frozen=True)
class Edition:
    """What a command publishes.

    Args:
        command: that publishes it.
        exports: its files, or folders of files, beside the database, the page and the manifest.
        mart: the export that holds fct_prints as Parquet, a pattern where it is many files.
    """

    command: str
    exports: tuple[str, ...]
    mart: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the manifest describes."""
        return (*self.exports, DATABASE, PAGE)

    @property
    def stable_names(self) -> tuple[str, ...]:
        """What readers find in the out path."""
        return (*self.outputs, MANIFEST)


REPORT = Edition("build", ("final.csv", "final.parquet"), "final.parquet")
# The key is no name of a column: a reader that takes its type from the path may find another
# one in the file, and fail.
BACKFILL = Edition("backfill", ("prints",), "prints/week=*/prints.parquet")


@dataclass(frozen=True)
class OutPath:
    """The folder that a run publishes to, and what is published there."""

    root: Path
    edition: Edition = REPORT

    @property
    def current(self) -> Path:
        """The link to the current run."""
        return self.root / "current"

    @property
    def runs(self) -> Path:
        """The folder of the passed runs."""
        return self.root / "runs"

    @property
    def history(self) -> Path:
        """The folder of the records of all runs."""
        return self.root / "quality"

    @property
    def work(self) -> Path:
        """The folder of the run under way."""
        return self.root / ".work"

    @property
    def cache(self) -> Path:
        """What makes the next run faster, and may be deleted."""
        return self.root / ".cache"

    @property
    def parsed(self) -> Path:
        """The folder of the parsed raw files."""
        return self.root / "parsed"

    @property
    def last_run(self) -> Path:
        """What the last failed run left."""
        return self.root / "last_run"

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.root / ".lock"

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            ValuePropsError: it can't be written, holds a file under a stable name, or what
                another command published.
        """
        refused = [sign for sign in ("?", "\\") if sign in str(self.root)]
        if refused:
            raise ValuePropsError(
                f"DuckDB can open no database below a folder with a {refused[0]} in its name",
                f"Out path {self.root}",
                "Name another folder",
            )
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValuePropsError(
                f"the folder cannot be made ({error.strerror}{_owners(error, self.root)})",
                f"Out path {self.root}",
                "Name a folder that can be written",
            ) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise ValuePropsError(
                f"the folder cannot be written ({owners_of(self.root)})",
                f"Out path {self.root}",
                "Name a folder that can be written, or have its owner grant the right",
            )
        self.refuse_other_edition(edition_at(self.root))
        for name in (*self.edition.stable_names, "current"):
            path = self.root / name
            if path.exists() and not path.is_symlink():
                raise ValuePropsError(
                    "a file is already there, and value-props did not write it",
                    f"Out path {path}",
                    "Move it away, or name another folder in --out",
                )

    def refuse_other_edition(self, published: Edition | None) -> None:
        """Refuse to publish over what another command published.

        Raises:
            RefusedError: it was another.
        """
        if published is not None and published != self.edition:
            raise RefusedError(
                f"it holds what `value-props {published.command}` published",
                f"Out path {self.root}",
                "Name another folder",
            )

    def sweep(self) -> None:
        """Remove what a killed run left. Call it under the lock."""
        remove_tree(self.work)
        for leftover in self.root.glob(".current.*"):
            leftover.unlink()

    def current_run_id(self) -> str | None:
        """The id of the run that the stable names show."""
        return self.current.readlink().name if self.current.is_symlink() else None

    def run_ids(self) -> list[str]:
        """The passed runs that are kept, oldest first (ids begin with their time)."""
        return sorted(path.name for path in self.runs.iterdir()) if self.runs.is_dir() else []

    def check_kept(self, run_id: str) -> None:
        """Refuse the id of no passed run that is kept.

        Raises:
            ValuePropsError: it names the runs that are.
        """
        if run_id not in self.run_ids():
            current = self.current_run_id()
            kept = [f"{name} (current)" if name == current else name for name in self.run_ids()]
            raise ValuePropsError(
                f"there is no run '{run_id}'",
                f"Out path {self.root}",
                f"The runs that are kept: {', '.join(kept) or 'none'}",
            )

    def manifest_of(self, run_id: str) -> dict[str, Any]:
        """The manifest of a passed run.

        Raises:
            ValuePropsError: it is gone or damaged.
        """
        path = self.runs / run_id / MANIFEST
        try:
            manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValuePropsError(
                f"the manifest cannot be read ({error})",
                f"Published run {path}",
                "Publish again with `value-props build`, or go back with `value-props rollback`",
            ) from error
        return manifest

    def add_run(self, finished: Path, run_id: str) -> None:
        """Make a finished run's folder one of the passed runs, read-only."""
        for path in finished.rglob("*"):
            # A folder stays writable, or only root could remove the run later.
            if path.is_file():
                path.chmod(0o444)
            sync(path)
        sync(finished)
        self.runs.mkdir(exist_ok=True)
        move(finished, self.runs / run_id)

    def switch_to(self, run_id: str) -> None:
        """Make a passed run the current one, in one step."""
        for name in self.edition.stable_names:
            path = self.root / name
            if not path.is_symlink():
                path.symlink_to(Path("current") / name)
        replace_link(self.current, Path("runs") / run_id)

    def clear_current(self) -> None:
        """Have the stable names show no run."""
        for name in ("current", *self.edition.stable_names):
            (self.root / name).unlink(missing_ok=True)

    def prune(self, made_current: Sequence[str] = ()) -> None:
        """Keep the last passed runs, the current one, and the last that were current.

        Args:
            made_current: ids of kept runs that are or were current, oldest first. Later builds of
                older weeks must not push them out, because a rollback goes back to them.
        """
        keep = {*self.run_ids()[-RUNS_KEPT:], *made_current[-RUNS_KEPT:], self.current_run_id()}
        for run_id in self.run_ids():
            if run_id not in keep:
                remove_tree(self.runs / run_id)

    def verify(self, run_id: str) -> list[str]:
        """Hash a passed run's files again.

        Returns:
            What is wrong, a sentence each; empty where all is as it was published.
        """
        faults = []
        for output in self.manifest_of(run_id)["outputs"]:
            path = self.runs / run_id / output["name"]
            if not path.is_file():
                faults.append(f"{path} is missing")
            elif sha256_of(path) != output["sha256"]:
                faults.append(f"{path} has changed since it was published (its sha256 differs)")
        return faults


def _owners(error: OSError, path: Path) -> str:
    """Whom a folder belongs to, where that is why the system refuses it."""
    return f": {owners_of(path)}" if isinstance(error, PermissionError) else ""


def edition_at(root: Path) -> Edition | None:
    """What is published in an out path; None where nothing is."""
    for edition in (REPORT, BACKFILL):
        if any((root / name).is_symlink() for name in edition.exports):
            return edition
    return None


def edition_of(manifest: Mapping[str, Any]) -> Edition:
    """What a manifest describes."""
    exports = {output["name"].partition("/")[0] for output in manifest["outputs"]}
    return REPORT if exports & set(REPORT.exports) else BACKFILL
