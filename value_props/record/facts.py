"""What is known of a run: how it began, what dbt did, what was found, and how it ended."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

# In the name of a version: that of a dbt package.
PACKAGE = "dbt package "


@dataclass(frozen=True)
class NodeOutcome:
    """What became of one node of a dbt run.

    Args:
        name: of the model or test.
        kind: resource type: model, test, unit_test, seed, snapshot.
        status: success, pass, warn, fail, error or skipped.
        failures: failing rows of a test.
        seconds: wall time.
        message: what dbt says of it.
        table: schema and name of what was built, of a test its failing rows; or empty.
        model_name: what a test judges: a model, or those that a singular test reads.
        column_name: that a test judges; None for a test of a table.
        rule: kind of a generic test, `singular`, or empty for what is no data test.
        severity: of a test: error or warn.
        is_sampled: whether a test asks a sample of the users where a run publishes.
        description: of the node.
        columns: that the node is to have: type by name, None where only the name is agreed.
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
        """SQL that shows the failing rows of a test in the run's database, where there are any."""
        return f"from {self.table}" if self.failures and self.table else None


@dataclass(frozen=True)
class Begun:
    """What is known of a run when it begins.

    Args:
        run_id: of the run.
        started_at: UTC, ISO 8601.
        raw_path: as the user gave it.
        parameters: texts by name, as the user gave them.
        git_commit: of the project; None without git.
        versions: of what computes the run, by name; that of a dbt package begins with PACKAGE.
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
        status: published, failed or killed; or running, as long as it did not end.
        exit_code: what the command exits with; None for a killed run.
        problem: what is wrong; None for a published run.
        is_made_current: whether the run became the current one.
        ended_at: UTC, ISO 8601; None for a killed run, since nobody saw it end.
    """

    status: str
    exit_code: int | None = None
    problem: str | None = None
    is_made_current: bool = False
    ended_at: str | None = field(default_factory=lambda: utc_now())


@dataclass
class Record:
    """All that is known of a run. Manifest, report, page and history are made of it.

    Args:
        begun: what is known at its start.
        ended: how it ended.
        problems: why it failed, a sentence each, most important first. They hold no raw data.
        warnings: a sentence each.
        seconds: wall time by step.
        outcomes: of the nodes that dbt ran.
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
        """How many data tests have each status."""
        return dict(Counter(test.status for test in self.tests))


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Args:
        problems: a sentence each; none means that the run may be published.
        warnings: a sentence each.
    """

    problems: list[str]
    warnings: list[str]


def utc_now() -> str:
    """The time now, UTC, to the second: `2020-11-30T06:00:00Z`."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
