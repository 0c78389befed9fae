"""Dataclasses with the facts of a run: its start, its dbt nodes, its verdict and its end."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

# Prefix of the names of dbt packages in Begun.versions.
PACKAGE = "dbt package "


@dataclass(frozen=True)
class NodeOutcome:
    """The outcome of one node of a dbt run.

    Args:
        name: name of the model, test, seed or snapshot.
        kind: resource type: model, test, unit_test, seed, snapshot.
        status: success, pass, warn, fail, error or skipped.
        failures: number of failing rows of a test.
        seconds: wall time.
        message: dbt's message; may quote raw data.
        table: schema and name of the table built, or of a test's failing rows; empty without one.
        model_name: the model tested; for a singular test the models it reads, joined by commas.
        column_name: the column tested; None for a test of a table.
        rule: the generic test, or `singular`; empty if the node is no data test.
        severity: error or warn; empty if the node is no data test.
        is_sampled: whether the test reads only a sample of users when a run publishes.
        description: description in the project.
        columns: expected types by column name; None where only the name is expected.
    """

    name: str
    kind: str
    status: str
    failures: int
    seconds: float
    message: str
    table: str
    model_name: str = ""
    column_name: str | None = None
    rule: str = ""
    severity: str = ""
    is_sampled: bool = False
    description: str = ""
    columns: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def query(self) -> str | None:
        """SQL that lists the failing rows in the run's database; None without failing rows."""
        return f"from {self.table}" if self.failures and self.table else None


@dataclass(frozen=True)
class Begun:
    """The facts known when a run begins.

    Args:
        run_id: start in UTC and six random hex digits.
        started_at: UTC, ISO 8601.
        raw_path: full path of the raw folder, or the address of the bucket.
        parameters: values by dbt var, as the user gave them; no defaults.
        git_commit: commit of the project; None without git.
        versions: versions by tool; names of dbt packages begin with PACKAGE.
    """

    run_id: str
    started_at: str
    raw_path: str
    parameters: Mapping[str, str]
    git_commit: str | None
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Args:
        status: published, failed, killed, or running.
        exit_code: exit code of the command; None for a killed or running run.
        problem: what is wrong; None for a published run.
        is_made_current: whether the run became the current one.
        ended_at: UTC, ISO 8601; None for a killed or running run.
    """

    status: str
    exit_code: int | None = None
    problem: str | None = None
    is_made_current: bool = False
    ended_at: str | None = field(default_factory=lambda: utc_now())


@dataclass
class Record:
    """All facts of a run. Manifest, report, page and history are made from it.

    Args:
        begun: the facts known at the start.
        ended: how the run ended.
        problems: why it failed: sentences without raw data, most important first.
        warnings: sentences without full stop.
        seconds: wall time by step.
        outcomes: the outcome of each node that dbt ran.
        ignored_files: files beside the raw files whose names nearly match those of raw files.
        is_sample_data: whether `value-props sample` made one of the raw files.
    """

    begun: Begun
    ended: Ended = field(default_factory=lambda: Ended("running", ended_at=None))
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    outcomes: list[NodeOutcome] = field(default_factory=list)
    ignored_files: list[str] = field(default_factory=list)
    is_sample_data: bool = False

    @property
    def tests(self) -> list[NodeOutcome]:
        """The outcomes of data tests."""
        return [outcome for outcome in self.outcomes if outcome.kind == "test"]

    @property
    def test_counts(self) -> dict[str, int]:
        """Number of data tests by status."""
        return dict(Counter(test.status for test in self.tests))


@dataclass(frozen=True)
class Verdict:
    """The verdict of the gate.

    Args:
        problems: sentences without full stop; if empty, the run may be published.
        warnings: sentences without full stop.
    """

    problems: list[str]
    warnings: list[str]


def utc_now() -> str:
    """Return the current time in UTC, such as `2020-11-30T06:00:00Z`."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
