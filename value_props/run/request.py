"""What the user asks of a run (Request), and the run while it goes on (Run)."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from value_props.ingest import Trust
from value_props.publish.bucket import Entry
from value_props.publish.out_path import DATABASE, REPORT, Edition
from value_props.publish.places import Place
from value_props.record.facts import Begun, Record, utc_now
from value_props.resources import Resources, resolve
from value_props.run.versions import git_commit, versions

_START = "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class Request:
    """What the user asks of a run.

    Args:
        project: root of the dbt project.
        raw: folder or bucket prefix of the raw files.
        out: folder or bucket prefix to publish to.
        parameters: checked values by dbt var; a missing one has its default.
        edition: the files to publish: report or backfill.
        resources: limits on memory, threads and temporary files.
        make_current: replace the published run even if its week is newer or its raw files differ.
        is_debug: keep dbt's debug log.
        trust: which results of earlier runs may be used instead of reading a raw file again.
        users_gone: user_ids that stop the run if a raw file still holds them.
    """

    project: Path
    raw: Place
    out: Place
    parameters: Mapping[str, str]
    edition: Edition = REPORT
    resources: Resources = field(default_factory=resolve)
    make_current: bool = False
    is_debug: bool = False
    trust: Trust = Trust.STAMPS
    users_gone: frozenset[int] = frozenset()

    @property
    def raw_path(self) -> Path:
        """The folder of the raw files."""
        return self.raw.folder

    @property
    def out_path(self) -> Path:
        """The folder to publish to."""
        return self.out.folder

    @property
    def serves_features(self) -> bool:
        """Whether the run also publishes the features of every user."""
        return self.parameters.get("serving_features") == "true"


@dataclass
class Run:
    """A run as it goes on.

    Args:
        request: what the user asks.
        folder: the work folder.
        record: the facts known so far.
        objects: raw files in a bucket, by name; empty for a folder.
        report: the report of the ended run, in the shape of shapes.Report; None before the end
            and if it could not be made.
        metrics: the metrics of the ended run in Prometheus' text format; None as `report`.
    """

    request: Request
    folder: Path
    record: Record
    objects: dict[str, Entry] = field(default_factory=dict)
    report: dict[str, Any] | None = None
    metrics: str | None = None

    @property
    def run_id(self) -> str:
        """The id of the run; see new_run_id."""
        return self.record.begun.run_id

    @property
    def database(self) -> Path:
        """The DuckDB file that dbt fills. Its name is that of the published file."""
        return self.folder / "files" / DATABASE


def new_run(request: Request, folder: Path, known: Iterable[str] = ()) -> Run:
    """Return a run that begins now.

    Args:
        request: what the user asks.
        folder: the work folder.
        known: ids of earlier runs; see new_run_id.
    """
    project = request.project
    begun = Begun(
        run_id=new_run_id(known),
        started_at=utc_now(),
        raw_path=request.raw.name,
        parameters=dict(request.parameters),
        git_commit=git_commit(project),
        versions=versions(project),
    )
    return Run(request, folder, Record(begun))


def new_run_id(known: Iterable[str]) -> str:
    """Return an id: the start in UTC and six random hex digits.

    Runs are sorted by id. If the clock went back, or two runs begin in one second, the new id uses
    the second after the latest known id.

    Args:
        known: ids of earlier runs.
    """
    starts = [datetime.datetime.now(datetime.UTC)]
    for run_id in known:
        with suppress(ValueError):
            start = datetime.datetime.strptime(run_id.partition("-")[0], f"{_START}%z")
            starts.append(start + datetime.timedelta(seconds=1))
    return f"{max(starts).astimezone(datetime.UTC).strftime(_START)}Z-{secrets.token_hex(3)}"
