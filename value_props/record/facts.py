"""What is known of a run: how it began, what dbt did, and how it ended."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field


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


@dataclass(frozen=True)
class Begun:
    """What is known of a run when it begins.

    Args:
        run_id: of the run.
        started_at: UTC, ISO 8601.
        raw_path: as the user gave it.
        parameters: texts by name, as the user gave them.
        git_commit: of the project; None without git.
        versions: of what computes the run, by name.
    """

    run_id: str
    started_at: str
    raw_path: str
    parameters: Mapping[str, str]
    git_commit: str | None
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Ended:
    """What became of a run.

    Args:
        status: published, failed or killed.
        exit_code: what the command line exits with; None for a killed run.
        problem: what is wrong; None for a published run.
        is_made_current: whether the stable names show it, or did.
    """

    status: str
    exit_code: int | None = None
    problem: str | None = None
    is_made_current: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Args:
        problems: a sentence each; none means that the run may be published.
        warnings: a sentence each.
        tests: how many tests ended with each status.
    """

    problems: list[str]
    warnings: list[str]
    tests: dict[str, int]


def utc_now() -> str:
    """The time now, UTC, to the second: `2020-11-30T06:00:00Z`."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
