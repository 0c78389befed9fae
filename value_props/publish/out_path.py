"""The layout of an out path: one folder per run, and a symbolic link to the current run.

    out/
      final.csv, final.parquet, value_props.duckdb, report.html, manifest.json
                        -> current/<name>; of a backfill, prints for the first two
      features.parquet  -> current/<name>; only if the current run published it
      current           -> runs/<run_id>
      runs/<run_id>/    the files of a passed run, read-only
      metrics.prom      the metrics of the last run that ended
      quality/<run_id>/ the record of a run that began; see record/history.py
      last_run/         the database, report and log of the last failed run
      .work/            the work folder of a run; the next run sweeps it
      parsed/           the parsed rows of raw files, shared by runs; see ingest/keep.py
      .cache/           the parsed dbt project and the merged history

A switch to another run is atomic: renaming `current` changes all stable names at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from value_props import __version__
from value_props.errors import RefusedError, ValuePropsError, owners_of
from value_props.files import move, remove_tree, replace_link, sha256_of, sync

DATABASE = "value_props.duckdb"
PAGE = "report.html"
METRICS = "metrics.prom"
FEATURES = "features.parquet"
MANIFEST = "manifest.json"
# The format of manifest.json and of the out path around it. A version reads its own and older ones.
FORMAT_VERSION = 1
RUNS_KEPT = 5
# Empty files that are added to a record later. rolled_back: the run was current until a rollback.
# made_current: it was kept back, until a rollback to it. texts_removed: its samples lost their raw
# text.
MARKS = ROLLED_BACK, MADE_CURRENT, TEXTS_REMOVED = "rolled_back", "made_current", "texts_removed"


@dataclass(frozen=True)
class Edition:
    """The files that a command publishes.

    Args:
        command: name of the command.
        exports: files or folders with the mart, besides database, page and manifest.
        mart: the export that holds fct_prints as Parquet; a glob pattern for several files.
        optional: files that a run publishes only if the user asks for them.
    """

    command: str
    exports: tuple[str, ...]
    mart: str
    optional: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files that the manifest of every run lists."""
        return (*self.exports, DATABASE, PAGE)

    @property
    def stable_names(self) -> tuple[str, ...]:
        """The names that readers always find in the out path."""
        return (*self.outputs, MANIFEST)


REPORT = Edition("build", ("final.csv", "final.parquet"), "final.parquet", (FEATURES,))
# `week` is no column of the mart. Readers derive a type for the key from the path, and fail if the
# file has a column of that name with another type.
BACKFILL = Edition("backfill", ("prints",), "prints/week=*/prints.parquet")


@dataclass(frozen=True)
class OutPath:
    """A local folder that runs publish to.

    Args:
        root: the folder.
        edition: the files that are published there.
    """

    root: Path
    edition: Edition = REPORT

    @property
    def current(self) -> Path:
        """The symbolic link to the current run."""
        return self.root / "current"

    @property
    def runs(self) -> Path:
        """The folder of the passed runs."""
        return self.root / "runs"

    @property
    def history(self) -> Path:
        """The folder with the records of all runs."""
        return self.root / "quality"

    @property
    def work(self) -> Path:
        """The work folder."""
        return self.root / ".work"

    @property
    def cache(self) -> Path:
        """Files that make the next run faster. They may be deleted."""
        return self.root / ".cache"

    @property
    def parsed(self) -> Path:
        """The folder of the parsed raw files."""
        return self.root / "parsed"

    @property
    def last_run(self) -> Path:
        """The files of the last failed run."""
        return self.root / "last_run"

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.root / ".lock"

    def prepare(self, optional: Collection[str] = ()) -> None:
        """Create the folder.

        Args:
            optional: the optional files that the run publishes.

        Raises:
            ValuePropsError: the folder cannot be written, or holds a user's file under a stable
                name.
            RefusedError: another command, or a later version of value-props, published there.
        """
        refused = [sign for sign in ("?", "\\") if sign in str(self.root)]
        if refused:
            raise ValuePropsError(
                f"DuckDB cannot open a database below a folder with a {refused[0]} in its name",
                f"Out path {self.root}",
                "Name another folder",
            )
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValuePropsError(
                f"the folder cannot be created ({error.strerror}{_owners(error, self.root)})",
                f"Out path {self.root}",
                "Name a folder that can be written",
            ) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise ValuePropsError(
                f"the folder cannot be written ({owners_of(self.root)})",
                f"Out path {self.root}",
                "Name a folder that can be written, or have its owner give you permission",
            )
        self.refuse_other_edition(edition_at(self.root))
        for name in (*self.edition.stable_names, *optional, "current"):
            path = self.root / name
            if path.exists() and not path.is_symlink():
                raise ValuePropsError(
                    "a file is already there, and value-props did not write it",
                    f"Out path {path}",
                    "Move it away, or name another folder in --out",
                )

    def refuse_other_edition(self, published: Edition | None) -> None:
        """Refuse to publish over files of another command.

        Raises:
            RefusedError: another command published here.
        """
        if published is not None and published != self.edition:
            raise RefusedError(
                f"it holds what `value-props {published.command}` published",
                f"Out path {self.root}",
                "Name another folder",
            )

    def sweep(self) -> None:
        """Remove the leftovers of a killed run. The caller holds the lock."""
        remove_tree(self.work)
        for leftover in self.root.glob(".current.*"):
            leftover.unlink()

    def current_run_id(self) -> str | None:
        """Return the id of the current run; None without one."""
        return self.current.readlink().name if self.current.is_symlink() else None

    def run_ids(self) -> list[str]:
        """Return the ids of the kept passed runs, oldest first (ids begin with their time)."""
        return sorted(path.name for path in self.runs.iterdir()) if self.runs.is_dir() else []

    def check_kept(self, run_id: str) -> None:
        """Refuse an id unless it is that of a kept passed run.

        Raises:
            ValuePropsError: no such run is kept. The message lists the runs that are.
        """
        if run_id not in self.run_ids():
            current = self.current_run_id()
            kept = [f"{name} (current)" if name == current else name for name in self.run_ids()]
            raise ValuePropsError(
                f"there is no run '{run_id}'",
                f"Out path {self.root}",
                f"These runs are kept: {', '.join(kept) or 'none'}",
            )

    def manifest_of(self, run_id: str) -> dict[str, Any]:
        """Return the manifest of a passed run.

        Raises:
            ValuePropsError: the manifest is missing or damaged.
            RefusedError: a later version of value-props wrote it.
        """
        path = self.runs / run_id / MANIFEST
        try:
            return parsed_manifest(path.read_bytes(), f"Published run {path}")
        except (OSError, ValueError) as error:
            raise ValuePropsError(
                f"the manifest cannot be read ({error})",
                f"Published run {path}",
                "Publish again with `value-props build`, or go back with `value-props rollback`",
            ) from error

    def add_run(self, finished: Path, run_id: str) -> None:
        """Move the folder of a finished run to the passed runs, with read-only files."""
        for path in finished.rglob("*"):
            # Folders stay writable, so that the user can remove the run later.
            if path.is_file():
                path.chmod(0o444)
            sync(path)
        sync(finished)
        self.runs.mkdir(exist_ok=True)
        move(finished, self.runs / run_id)

    def switch_to(self, run_id: str) -> None:
        """Make a passed run the current one. The switch is atomic.

        The name of an optional file that the run does not have is removed after the switch. Until
        then it leads nowhere, so no reader takes a file of another run.
        """
        missing = {
            name for name in self.edition.optional if not (self.runs / run_id / name).exists()
        }
        for name in (*self.edition.stable_names, *self.edition.optional):
            path = self.root / name
            if name not in missing and not path.is_symlink():
                path.symlink_to(Path("current") / name)
        replace_link(self.current, Path("runs") / run_id)
        for name in missing:
            self._remove_link(name)

    def clear_current(self) -> None:
        """Remove the stable names, so that no run is current."""
        for name in ("current", *self.edition.stable_names, *self.edition.optional):
            self._remove_link(name)

    def _remove_link(self, name: str) -> None:
        # A user may have a file of the name of an optional one.
        if (self.root / name).is_symlink():
            (self.root / name).unlink()

    def prune(self, made_current: Sequence[str] = ()) -> None:
        """Remove old runs (retention).

        The current run stays, and so do the last RUNS_KEPT passed runs and the last RUNS_KEPT runs
        that were current.

        Args:
            made_current: ids of kept runs that are or were current, oldest first. Later builds of
                older weeks must not push them out, because a rollback goes back to them.
        """
        keep = {*self.run_ids()[-RUNS_KEPT:], *made_current[-RUNS_KEPT:], self.current_run_id()}
        for run_id in self.run_ids():
            if run_id not in keep:
                remove_tree(self.runs / run_id)

    def verify(self, run_id: str) -> list[str]:
        """Hash the files of a passed run and compare them with its manifest.

        Returns:
            A sentence for each missing or changed file; empty if all are as published.
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
    """Return the owner of a folder, if the system denied permission; else an empty text."""
    return f": {owners_of(path)}" if isinstance(error, PermissionError) else ""


def edition_at(root: Path) -> Edition | None:
    """Return the edition published in an out path; None if nothing is published.

    Raises:
        RefusedError: a later version of value-props published there.
    """
    path = root / MANIFEST
    # A missing or damaged manifest stops the commands that need it, and no build.
    with suppress(OSError, ValueError):
        parsed_manifest(path.read_bytes(), f"Out path {path}")
    for edition in (REPORT, BACKFILL):
        if any((root / name).is_symlink() for name in edition.exports):
            return edition
    return None


def parsed_manifest(text: bytes, where: str) -> dict[str, Any]:
    """Parse a manifest. Every manifest is read here.

    Args:
        text: the content of the file.
        where: the file, for the error.

    Raises:
        ValueError: it is no JSON object.
        RefusedError: a later version of value-props wrote it.
    """
    manifest: dict[str, Any] = json.loads(text)
    if not isinstance(manifest, dict):
        raise ValueError("it is no JSON object")
    found = manifest.get("format_version")
    if isinstance(found, int) and found > FORMAT_VERSION:
        raise RefusedError(
            f"its format_version is {found}, and value-props {__version__} reads none above"
            f" {FORMAT_VERSION}",
            where,
            "Use the version of value-props that published it, or a newer one",
        )
    return manifest


def edition_of(manifest: Mapping[str, Any]) -> Edition:
    """Return the edition that a manifest lists."""
    exports = {output["name"].partition("/")[0] for output in manifest["outputs"]}
    return REPORT if exports & set(REPORT.exports) else BACKFILL
