"""A run: what is asked of it, and what is known of it while it goes on."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from value_props.ingest import Trust
from value_props.publish.bucket import Entry
from value_props.publish.out_path import DATABASE, REPORT, Edition
from value_props.publish.places import Place
from value_props.record.facts import Begun, NodeOutcome, utc_now
from value_props.record.manifest import made_by
from value_props.resources import Resources, resolve

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
    """One run: where it works, what it took and found.

    Args:
        request: what was asked of it.
        folder: where it works.
        run_id: see new_run_id.
        started_at: UTC, ISO 8601.
        seconds: wall time by step.
        outcomes: of the nodes that dbt ran.
        problems: of a failed run, a sentence each, with nothing of the raw data.
        warnings: a sentence each.
        objects: of the raw files that are in a bucket, by name.
        ignored_files: names beside the raw files that nearly are names of raw files.
        is_sample_data: whether a raw file is one that `value-props sample` wrote.
        report: of the ended run, as report.schema.json describes; None before, and where it
            could not be made.
        metrics: of the ended run, as the text that Prometheus reads; None as report.
    """

    request: Request
    folder: Path
    run_id: str = field(default_factory=lambda: new_run_id())
    started_at: str = field(default_factory=utc_now)
    seconds: dict[str, float] = field(default_factory=dict)
    outcomes: list[NodeOutcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    objects: dict[str, Entry] = field(default_factory=dict)
    ignored_files: list[str] = field(default_factory=list)
    is_sample_data: bool = False
    report: dict[str, Any] | None = None
    metrics: str | None = None

    @cached_property
    def made_by(self) -> dict[str, Any]:
        """What computes it, as it is at its start: versions and git_commit."""
        return made_by(self.request.project)

    @cached_property
    def begun(self) -> Begun:
        """What the history is told of it at its start."""
        tools = dict(self.made_by["versions"])
        packages = {f"dbt package {name}": text for name, text in tools.pop("dbt_packages").items()}
        return Begun(
            self.run_id,
            self.started_at,
            self.request.raw.name,
            dict(self.request.parameters),
            self.made_by["git_commit"],
            {**tools, **packages},
        )

    @property
    def database(self) -> Path:
        """The file that dbt fills; the catalogue in it is named as the published one."""
        return self.folder / "files" / DATABASE


def new_run_id(known: Iterable[str] = ()) -> str:
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
