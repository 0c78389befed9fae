"""The law of the features that serve: the mart of a later run on the same rows holds the same."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.comparison import outcome_of
from support.harness import Pipeline, vars_of
from support.raw_data import RawCase, raw_cases
from support.raw_files import write_files
from support.reference import FeatureRow, MartRow, Outcome, Parameters, compute, monday_of

from value_props import database
from value_props.publish.out_path import FEATURES
from value_props.run.published_features import PublishedFeatures

CASES = int(os.environ.get("VALUE_PROPS_PROPERTY_CASES", "10"))
ZEROS = (0, 0, 0, Decimal("0.00"))
RUN = "20201130T060000Z-000000"


def later(parameters: Parameters, first_day: date) -> Parameters:
    """Return the parameters of the run whose prints the features serve."""
    if parameters.lookback_anchor == "print":
        return replace(parameters, as_of_date=first_day, week_rule="latest", report_weeks=1)
    sunday = first_day + timedelta(days=6)
    return replace(parameters, as_of_date=sunday, week_rule="complete", report_weeks=1)


def served(mart: Iterable[MartRow], first_day: date, anchor: str) -> list[MartRow]:
    """Return the prints of the mart that features of a day serve."""
    column = 3 if anchor == "print" else 1
    return [row for row in mart if row[column] == first_day]


def by_key(features: Iterable[FeatureRow]) -> dict[tuple[int, str], tuple[Any, ...]]:
    return {(row[1], row[2]): row[3:] for row in features}


def first_day_of(outcome: Outcome, parameters: Parameters) -> date:
    """Return feature_date. Skip cases without features."""
    assume(outcome.features)
    assert outcome.features
    assert parameters.serving_features
    return outcome.features[0][0]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=raw_cases())
def test_the_reference_obeys_the_law(tmp_path_factory: Any, case: RawCase) -> None:
    raw = tmp_path_factory.mktemp("raw")
    write_files(raw, case.files)
    parameters = replace(case.parameters, serving_features=True)
    outcome = outcome_of(replace(case, parameters=parameters), raw)
    assume(outcome is not None)
    assert outcome is not None
    first_day = first_day_of(outcome, parameters)
    features = by_key(outcome.features or [])
    mart = compute(raw, later(parameters, first_day)).mart
    for row in served(mart, first_day, parameters.lookback_anchor):
        assert features.get((row[4], row[5]), ZEROS) == row[8:]


def next_week(features: list[FeatureRow], first_day: date, choices: bytes) -> dict[str, bytes]:
    """Make files of prints, taps and payments from the first day on, also of a new user."""
    keys = [(row[1], row[2]) for row in features] + [(777, "point"), (777, "a new one")]
    lines = []
    for number, choice in enumerate(choices):
        user_id, value_prop = keys[choice % len(keys)]
        day = first_day + timedelta(days=number % 7)
        event = {"position": number, "value_prop": value_prop}
        line = {"day": day.isoformat(), "event_data": event, "user_id": user_id}
        lines.append(json.dumps(line) + "\n")
    pays = f"pay_date,total,user_id,value_prop\n{first_day},5,777,point\n"
    return {
        "prints_next.json": "".join(lines).encode(),
        "taps_next.json": "".join(lines[::2]).encode(),
        "pays_next.csv": pays.encode(),
    }


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(case=raw_cases(), choices=st.binary(min_size=8, max_size=30), is_late=st.booleans())
def test_the_mart_of_next_week_holds_what_was_served(
    pipeline: Pipeline, case: RawCase, choices: bytes, is_late: bool
) -> None:
    run_date, as_of_date = case.parameters.run_date, case.parameters.as_of_date
    # Rows before a cut-off that is too far ahead of the run date would be valid only in the later
    # run. They would be late rows.
    run_date = max(run_date, as_of_date or run_date)
    parameters = replace(case.parameters, run_date=run_date, serving_features=True)
    pipeline.write(case.files)
    outcome = outcome_of(replace(case, parameters=parameters), pipeline.raw_path)
    assume(outcome is not None)
    assert outcome is not None
    first_day = first_day_of(outcome, parameters)
    pipeline.run(vars_of(parameters))
    features = pipeline.features()
    assert features == outcome.features

    files = {**case.files, **next_week(features, first_day, choices)}
    if is_late:
        # The payment of a served user, from the day before the features serve.
        user_id, day = features[0][1], first_day - timedelta(days=1)
        files["pays_next.csv"] += f"{day},1.50,{user_id},point\n".encode()
    published = export(pipeline, parameters)
    pipeline.write(files)
    parameters = replace(later(parameters, first_day), run_date=first_day + timedelta(days=31))
    pipeline.run(vars_of(replace(parameters, serving_features=False)), published=[published])
    mart = served(pipeline.mart(), first_day, parameters.lookback_anchor)
    assert mart
    expected = by_key(features)
    skewed = [row for row in mart if expected.get((row[4], row[5]), ZEROS) != row[8:]]
    # Rows too far ahead of the run date before may be valid now, but none in the lookback.
    assert is_late or not skewed
    assert all((row[4], row[5]) == (features[0][1], "point") for row in skewed)
    [(prints, skewed_prints, amount)] = pipeline.query(
        "select sum(prints), sum(skewed_prints), sum(missed_amount) from quality.feature_skew"
    )
    assert (prints, skewed_prints) == (len(mart), len(skewed))
    assert amount == len(skewed) * Decimal("1.50")


def export(pipeline: Pipeline, parameters: Parameters) -> PublishedFeatures:
    """Write the features of the last build to a file, as a run publishes it."""
    path = pipeline.folder / FEATURES
    with database.opened(pipeline.database) as connection:
        target = database.literal(path)
        connection.execute(f"copy {database.USER_FEATURES} to {target} (format parquet)")
    return PublishedFeatures(RUN, path, parameters.lookback_anchor, parameters.lookback_weeks)


def test_monday_features_of_a_week_that_is_not_over_stop_the_run(pipeline: Pipeline) -> None:
    monday = monday_of(date(2020, 11, 25))
    line = {"day": str(monday), "event_data": {"position": 0, "value_prop": "point"}, "user_id": 1}
    event = f"{json.dumps(line)}\n".encode()
    pays = b"pay_date,total,user_id,value_prop\n2020-11-23,5,1,point\n"
    pipeline.write({"prints.json": event, "taps.json": event, "pays.csv": pays})
    parameters = Parameters(run_date=date(2020, 12, 1), week_rule="latest", serving_features=True)
    [failed] = [
        outcome for outcome in pipeline.run(vars_of(parameters)) if outcome.status == "error"
    ]
    assert failed.name == "int_run_window"
    assert "the week of 2020-11-23 ends on 2020-11-29. Use week_rule complete" in failed.message
    by_print = replace(parameters, lookback_anchor="print")
    assert all(outcome.status == "success" for outcome in pipeline.run(vars_of(by_print)))
    assert pipeline.features() == [(date(2020, 11, 24), 1, "point", 1, 1, 1, Decimal("5.00"))]
