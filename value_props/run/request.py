"""A run: what is asked of it, and what is known of it while it goes on."""

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
        project: the dbt project.
        raw: where the raw files are.
        out: where to publish to.
        parameters: checked texts by name of the var, without the empty ones.
        edition: what to publish.
        resources: what it may take of the machine.
        make_current: publish a week older than the published one all the same.
        is_debug: keep dbt's debug log.
        trust: in what earlier runs left of the raw files.
        users_gone: user_id of those whom the raw files may not hold any more.
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


@dataclass
class Run:
    """A run as it goes on.

    Args:
        request: what was asked of it.
        folder: where it works.
        record: what is known of it.
        objects: of the raw files that are in a bucket, by name.
        report: of the ended run, in the shape of shapes.Report; None before, and where it could
            not be made.
        metrics: of the ended run, as the text that Prometheus reads; None as report.
    """

    request: Request
    folder: Path
    record: Record
    objects: dict[str, Entry] = field(default_factory=dict)
    report: dict[str, Any] | None = None
    metrics: str | None = None

    @property
    def run_id(self) -> str:
        """See new_run_id."""
        return self.record.begun.run_id

    @property
    def database(self) -> Path:
        """The file that dbt fills; the catalogue in it is named as the published one."""
        return self.folder / "files" / DATABASE


def new_run(request: Request, folder: Path, known: Iterable[str] = ()) -> Run:
    """A run that begins now.

    Args:
        request: what is asked of it.
        folder: where it works.
        known: ids of the runs before.
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
    """An id for a run that begins now: its start in UTC and six random digits.

    Runs are told in the order of their ids. So where the clock has gone back, or two runs begin in
    one second, the id names the second after the last one.

    Args:
        known: ids of the runs before.
    """
    starts = [datetime.datetime.now(datetime.UTC)]
    for run_id in known:
        with suppress(ValueError):
            start = datetime.datetime.strptime(run_id.partition("-")[0], f"{_START}%z")
            starts.append(start + datetime.timedelta(seconds=1))
    return f"{max(starts).astimezone(datetime.UTC).strftime(_START)}Z-{secrets.token_hex(3)}"
