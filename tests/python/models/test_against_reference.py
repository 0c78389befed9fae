"""The project against the independent reference, on raw folders of every kind."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.comparison import compare
from support.harness import Pipeline
from support.raw_data import RawCase, big_case, raw_cases

# A case takes about two seconds; raise it to search longer.
CASES = int(os.environ.get("VALUE_PROPS_PROPERTY_CASES", "40"))


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
