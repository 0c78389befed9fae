"""Publish the runs of an out path: one interface, for a folder of this machine and for a bucket."""

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
    """What is published in an out path, and how that changes.

    Args:
        place: the out path, as the user named it.
        out: the folder that runs work in. Who calls what changes anything holds its lock.
    """

    place: Place
    out: OutPath

    def session(self, run_id: str) -> AbstractContextManager[None]:
        """Let one run publish here: the folder has the state that is published.

        Raises:
            RefusedError: another run publishes here, or another command did.
            ValuePropsError: the store fails, or what is in it is damaged.
        """

    def fetch(self, command: str, names: Collection[str] = (), runs: Collection[str] = ()) -> None:
        """Bring what a command reads to the folder, if it is not there.

        Args:
            command: that reads.
            names: files of the current run.
            runs: whose mart is wanted.
        """

    def add_run(self, run_id: str) -> None:
        """Make the finished files of the run under way one of the passed runs."""

    def make_current(self, run_id: str) -> None:
        """Have readers find a passed run."""

    def current_run_id(self) -> str | None:
        """The run that readers find."""

    def verify(self, run_id: str) -> list[str]:
        """Hash a passed run's files again: what is wrong, a sentence each."""

    def push(self) -> None:
        """Bring up what changed in the folder besides the runs."""

    def readers_find(self, run_id: str, is_current: bool) -> tuple[str, str, str | None]:
        """Where readers find a run.

        Returns:
            Folder or prefix of its files, that of its manifest, and what else to know of them.
        """


@dataclass
class LocalPublisher:
    """A folder of this machine: what runs work in is what readers find."""

    place: Place
    out: OutPath

    def session(self, run_id: str) -> AbstractContextManager[None]:
        """Nothing is to be done: the lock of the folder keeps others out."""
        return nullcontext()

    def fetch(self, command: str, names: Collection[str] = (), runs: Collection[str] = ()) -> None:
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
        """Under the stable names, if it is current."""
        folder = self.out.runs / run_id
        name = self.place.name if is_current else f"{self.place.name}/runs/{run_id}"
        is_open = folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
        closed = (
            "Only the user of this run can read the files: its umask closed the folder to others."
        )
        return name, name, None if is_open else closed


def publisher_of(place: Place, edition: Edition = REPORT) -> Publisher:
    """The publisher of an out path, for what a command publishes."""
    out = OutPath(place.folder, edition)
    if place.bucket is None:
        return LocalPublisher(place, out)
    # Most runs name no bucket, and what speaks to one takes time to load.
    from value_props.publish.bucket_publisher import BucketPublisher

    return BucketPublisher(place, out, place.bucket)


def existing_publisher(place: Place, *, may_be_missing: bool = False) -> Publisher:
    """The publisher of an out path, for what is published there.

    Args:
        place: the out path.
        may_be_missing: whether a folder that is not there counts as one where nothing is.

    Raises:
        ValuePropsError: there is no such folder, the store fails, or its manifest is damaged.
    """
    if place.bucket:
        from value_props.publish.bucket_publisher import edition_in

        place.folder.mkdir(parents=True, exist_ok=True)
        return publisher_of(place, edition_in(place.bucket) or REPORT)
    if not (may_be_missing or place.folder.is_dir()):
        raise ValuePropsError(
            "there is no such folder", f"Out path {place.name}", "Run `value-props build`"
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
    """An out path with what a command reads; see existing_publisher, and Publisher.fetch."""
    publisher = existing_publisher(place, may_be_missing=may_be_missing)
    publisher.fetch(command, names, runs)
    return publisher.out


def roll_back(publisher: Publisher, run_id: str) -> None:
    """Make an older passed run the current one again. Call it under the lock, once it is opened.

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
    """Hash the files that readers find, and compare them with the manifest.

    Returns:
        The id of their run.

    Raises:
        ValuePropsError: nothing is published, or a file is not as it was published (exit code
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
