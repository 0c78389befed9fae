"""Publish runs: one interface for a local folder and a bucket, and the functions that use it."""

from __future__ import annotations

import stat
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from value_props.errors import ExitCode, ValuePropsError
from value_props.publish.out_path import REPORT, Edition, OutPath, edition_at
from value_props.publish.places import Place


class Publisher(Protocol):
    """The published runs of an out path. Callers of methods that change it hold the lock of `out`.

    Args:
        place: the out path, as the user named it.
        out: the local folder that runs work in.
    """

    place: Place
    out: OutPath

    def session(self, run_id: str) -> AbstractContextManager[None]:
        """Context manager in which one run or command may publish.

        Inside it the local folder has the published state.

        Args:
            run_id: the run, or the name of the command.

        Raises:
            RefusedError: another run holds the lock, or another command or a later version of
                value-props published here.
            ValuePropsError: the store failed, or an object in it is damaged.
        """

    def fetch(self, command: str, names: Collection[str] = (), runs: Collection[str] = ()) -> None:
        """Download what a command reads, if it is not in the local folder.

        Args:
            command: name of the command, which holds the lock meanwhile.
            names: files of the current run to download.
            runs: ids of the runs whose mart to download.
        """

    def pull_file(self, run_id: str, name: str) -> None:
        """Download a file or folder of a kept run, if it is not in the local folder."""

    def add_run(self, run_id: str) -> None:
        """Add the finished files of the work folder to the passed runs."""

    def make_current(self, run_id: str) -> None:
        """Make a passed run the current one, in one step for readers."""

    def current_run_id(self) -> str | None:
        """Return the id of the current run, which readers find; None without one."""

    def verify(self, run_id: str) -> list[str]:
        """Hash a passed run's files. Return a sentence for each missing or changed file."""

    def push(self) -> None:
        """Upload changed records, and remove runs that are no longer kept."""

    def readers_find(self, run_id: str, is_current: bool) -> tuple[str, str, str | None]:
        """Say where readers find a run.

        Returns:
            Folder or prefix of its files, folder or prefix of its manifest, and a remark to print.
        """


@dataclass
class LocalPublisher:
    """Publisher for a local folder, in which runs work and readers read."""

    place: Place
    out: OutPath

    def session(self, run_id: str) -> AbstractContextManager[None]:
        """Do nothing, because the caller holds the lock of the folder."""
        return nullcontext()

    def fetch(self, command: str, names: Collection[str] = (), runs: Collection[str] = ()) -> None:
        """All is here."""

    def pull_file(self, run_id: str, name: str) -> None:
        """All is here."""

    def add_run(self, run_id: str) -> None:
        """See OutPath."""
        self.out.add_run(self.out.work / "files", run_id)

    def make_current(self, run_id: str) -> None:
        """See OutPath."""
        self.out.switch_to(run_id)

    def current_run_id(self) -> str | None:
        """See OutPath."""
        return self.out.current_run_id()

    def verify(self, run_id: str) -> list[str]:
        """See OutPath."""
        return self.out.verify(run_id)

    def push(self) -> None:
        """All is here."""

    def readers_find(self, run_id: str, is_current: bool) -> tuple[str, str, str | None]:
        """See Publisher. A current run is found under the stable names."""
        folder = self.out.runs / run_id
        name = self.place.name if is_current else f"{self.place.name}/runs/{run_id}"
        is_open = folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
        closed = (
            "Only the user of this run can read the files: its umask closed the folder to others."
        )
        return name, name, None if is_open else closed


def publisher_of(place: Place, edition: Edition = REPORT) -> Publisher:
    """Return the publisher of an out path, for an edition to publish."""
    out = OutPath(place.folder, edition)
    if place.bucket is None:
        return LocalPublisher(place, out)
    # Imported here, because it loads slowly and most runs use no bucket.
    from value_props.publish.bucket_publisher import BucketPublisher

    return BucketPublisher(place, out, place.bucket)


def existing_publisher(place: Place, *, may_be_missing: bool = False) -> Publisher:
    """Return the publisher of an out path, for the edition published there.

    Args:
        place: the out path.
        may_be_missing: whether to treat a missing folder as an empty one.

    Raises:
        ValuePropsError: the folder is missing, the store failed, or its manifest is damaged.
        RefusedError: a later version of value-props published there.
    """
    if place.bucket:
        from value_props.publish.bucket_publisher import edition_in

        place.folder.mkdir(parents=True, exist_ok=True)
        return publisher_of(place, edition_in(place.bucket) or REPORT)
    if not (may_be_missing or place.folder.is_dir()):
        raise ValuePropsError(
            "there is no such folder",
            f"Out path {place.name}",
            "Go to the folder of the project, name another with --out, or run `value-props build`",
        )
    return publisher_of(place, edition_at(place.folder) or REPORT)


def fetched_out_path(
    place: Place,
    command: str,
    names: Collection[str] = (),
    runs: Collection[str] = (),
    *,
    may_be_missing: bool = False,
) -> OutPath:
    """Download what a command reads. See existing_publisher and Publisher.fetch."""
    publisher = existing_publisher(place, may_be_missing=may_be_missing)
    publisher.fetch(command, names, runs)
    return publisher.out


def roll_back(publisher: Publisher, run_id: str) -> None:
    """Make an older passed run current again. The caller holds the lock and a session.

    Raises:
        ValuePropsError: there is no such run, or its files are damaged (exit code NOT_PUBLISHED).
    """
    publisher.out.check_kept(run_id)
    if faults := publisher.verify(run_id):
        raise ValuePropsError(
            f"its files are damaged: {'; '.join(faults)}",
            f"Run {run_id}",
            "Choose another run",
            ExitCode.NOT_PUBLISHED,
        )
    publisher.make_current(run_id)


def verify_current(publisher: Publisher) -> str:
    """Hash the files of the current run and compare them with its manifest.

    Returns:
        The id of the current run.

    Raises:
        ValuePropsError: nothing is published, or a file is missing or changed (exit code
            GATE_FAILED).
    """
    run_id = publisher.current_run_id()
    if run_id is None:
        raise ValuePropsError(
            "nothing is published there",
            f"Out path {publisher.place.name}",
            "Check --out, or publish with `value-props build`",
        )
    if faults := publisher.verify(run_id):
        raise ValuePropsError(
            "; ".join(faults),
            f"Run {run_id}",
            "Build again, or go back with `value-props rollback`",
            ExitCode.GATE_FAILED,
        )
    return run_id
