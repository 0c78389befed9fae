"""Compare the project with the independent reference, row by row, on the same raw folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.harness import Pipeline, ingest_in_every_way, vars_of
from support.raw_data import RawCase
from support.reference import Outcome, compute
from support.reference_files import Stopped

from value_props.errors import ExitCode, ValuePropsError


def compare(pipeline: Pipeline, case: RawCase, *, in_every_way: bool = True) -> None:
    """Run both on a case, and assert that all results are equal, row by row.

    Args:
        pipeline: the project.
        case: the raw folder and the parameters.
        in_every_way: whether to also compare the ways to ingest, see ingest_in_every_way().
    """
    pipeline.write(case.files)
    expected = outcome_of(case, pipeline.raw_path)
    if expected is None:
        with pytest.raises(ValuePropsError) as error:
            pipeline.run(vars_of(case.parameters))
        assert error.value.exit_code is ExitCode.CANNOT_RUN
        return
    if in_every_way:
        ingest_in_every_way(pipeline.raw_path)
    outcomes = pipeline.run(vars_of(case.parameters))
    errors = {outcome.name for outcome in outcomes if outcome.status == "error"}
    if case.parameters.serving_features and expected.features is None:
        # The features would serve from a week whose lookback is not over.
        assert errors == {"int_run_window"}
        return
    assert not errors, errors
    if expected.features is not None:
        assert pipeline.features() == expected.features
    assert quarantine(pipeline) == sorted(expected.quarantine)
    assert reconciliation(pipeline) == expected.reconciliation
    assert pipeline.mart() == expected.mart
    assert unknown_keys(pipeline) == expected.unknown_keys
    assert failed_gates(pipeline) == expected.gate
    # Without a cut-off, the weekly mart is empty.
    assert orphan_taps(pipeline) == (expected.orphan_taps if expected.week_starts else 0)
    assert is_refused(pipeline) != expected.passes


def outcome_of(case: RawCase, raw_path: Path) -> Outcome | None:
    """Return the results of the reference. None if it says that the run cannot start."""
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
