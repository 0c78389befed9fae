"""What the gate makes of the outcomes of a dbt run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.harness import begun

from value_props.errors import ExitCode, ValuePropsError
from value_props.record.facts import NodeOutcome, Record
from value_props.run.gate import judge


def outcome(status: str, name: str = "rows_reconcile", kind: str = "test") -> NodeOutcome:
    table = f"test_failures.{name}"
    return NodeOutcome(name, kind, status, 1, 0.1, "broken SQL", table, description="All  add up.")


def test_a_failed_test_is_a_problem_and_says_its_rule(tmp_path: Path) -> None:
    told = (
        "Test rows_reconcile: 1 row, see `from test_failures.rows_reconcile`. The rule: All add up"
    )
    passed, failed, warned = map(outcome, ("pass", "fail", "warn"))
    verdict = judge([passed, failed, failed], tmp_path / "empty.duckdb")
    assert (verdict.problems, verdict.warnings) == ([told, told], [])
    counts = Record(begun("run"), outcomes=[passed, failed, failed]).test_counts
    assert counts == {"pass": 1, "fail": 2}
    verdict = judge([passed, warned], tmp_path / "empty.duckdb")
    assert (verdict.problems, verdict.warnings) == ([], [told])


def test_what_could_not_be_built_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValuePropsError, match="could not be built: broken SQL") as told:
        judge([outcome("error", kind="model")], tmp_path / "empty.duckdb")
    assert (told.value.where, told.value.exit_code) == (
        "Model rows_reconcile",
        ExitCode.CANNOT_RUN,
    )
