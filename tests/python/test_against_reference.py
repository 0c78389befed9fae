"""The project against the independent reference, on raw folders of every kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from harness import Pipeline, ingest_in_every_way, vars_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_data import RawCase, big_case, raw_cases
from reference import Outcome, Stopped, compute

from value_props.errors import ExitCode, ValuePropsError

# A case takes about two seconds; raise it to search longer.
CASES = int(os.environ.get("VALUE_PROPS_PROPERTY_CASES", "40"))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(tmp_path_factory.mktemp("against_reference"))


def compare(pipeline: Pipeline, case: RawCase) -> None:
    """Run both on the case and expect the same of them, to the row."""
    pipeline.write(case)
    expected = outcome_of(case, pipeline.raw_path)
    if expected is None:
        with pytest.raises(ValuePropsError) as error:
            pipeline.run(vars_of(case.parameters))
        assert error.value.exit_code is ExitCode.CANNOT_RUN
        return
    ingest_in_every_way(pipeline.raw_path)
    outcomes = pipeline.run(vars_of(case.parameters))
    errors = [outcome for outcome in outcomes if outcome.status == "error"]
    assert not errors, errors
    assert quarantine(pipeline) == sorted(expected.quarantine)
    assert reconciliation(pipeline) == expected.reconciliation
    assert pipeline.mart() == expected.mart
    assert unknown_keys(pipeline) == expected.unknown_keys
    assert failed_gates(pipeline) == expected.gate
    # Without any day to cut off at, the weekly mart is empty.
    assert orphan_taps(pipeline) == (expected.orphan_taps if expected.week_starts else 0)
    assert is_refused(pipeline) != expected.passes


def outcome_of(case: RawCase, raw_path: Path) -> Outcome | None:
    """What the reference computes; None where it says that the run cannot start."""
    try:
        return compute(raw_path, case.parameters)
    except Stopped:
        return None


def quarantine(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return sorted(
        pipeline.query(
            "select source_name, file_name, line_number, raw_text, quarantine_reason"
            " from quality.quarantined_rows"
        )
    )


def reconciliation(pipeline: Pipeline) -> dict[tuple[str, str], tuple[int, int, int]]:
    rows = pipeline.query(
        "select source_name, file_name, rows_read, rows_kept, rows_quarantined"
        " from quality.row_reconciliation"
    )
    return {(source, file): (read, kept, bad) for source, file, read, kept, bad in rows}


def unknown_keys(pipeline: Pipeline) -> set[tuple[Any, ...]]:
    return set(
        pipeline.query("select source_name, file_name, field_name from quality.schema_drift")
    )


def failed_gates(pipeline: Pipeline) -> set[str]:
    return {
        rule
        for (rule,) in pipeline.query(
            "select rule from quality.completeness_findings"
            " union select 'quarantine_rate' from quality.quarantine_rates where is_too_high"
        )
    }


def is_refused(pipeline: Pipeline) -> bool:
    return bool(
        pipeline.query(
            "select rule from quality.completeness_findings where severity = 'error'"
            " union select 'quarantine_rate' from quality.quarantine_rates where is_too_high"
        )
    )


def orphan_taps(pipeline: Pipeline) -> int:
    [(count,)] = pipeline.query(
        "select coalesce(sum(orphan_taps), 0) from marts.fct_value_prop_weeks"
    )
    return int(count)


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(case=raw_cases())
def test_every_raw_folder_gives_what_the_reference_gives(pipeline: Pipeline, case: RawCase) -> None:
    compare(pipeline, case)


@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000))
def test_larger_raw_folders_give_what_the_reference_gives(pipeline: Pipeline, seed: int) -> None:
    compare(pipeline, big_case(seed, 20_000))
