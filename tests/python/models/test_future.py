"""Nothing from the future reaches a feature."""

from __future__ import annotations

import datetime
import json

import pytest
from support.harness import CLEAN, Pipeline
from support.raw_data import RawCase
from support.reference import Parameters

RUN = Parameters(run_date=datetime.date(2020, 12, 1))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(tmp_path_factory.mktemp("future"))


def _before(name: str, day: str) -> bytes:
    lines = (CLEAN / name).read_text(encoding="utf-8").splitlines()
    if name == "pays.csv":
        kept = [lines[0], *(line for line in lines[1:] if line[:10] < day)]
    else:
        kept = [line for line in lines if json.loads(line)["day"] < day]
    return ("\n".join(kept) + "\n").encode()


@pytest.mark.parametrize(("anchor", "day"), [("week", "2020-11-23"), ("print", "2020-11-25")])
def test_features_are_the_same_without_what_came_later(
    pipeline: Pipeline, anchor: str, day: str
) -> None:
    """The prints of a day keep their features when all else from that day on is deleted."""
    names = ("prints.json", "taps.json", "pays.csv")
    everything = RawCase({name: (CLEAN / name).read_bytes() for name in names}, RUN)
    next_day = str(datetime.date.fromisoformat(day) + datetime.timedelta(days=1))
    past = RawCase(
        {name: _before(name, next_day if name == "prints.json" else day) for name in names}, RUN
    )
    dbt_vars = {
        "as_of_date": day,
        "week_rule": "latest",
        "lookback_anchor": anchor,
        "allow_incomplete": "true",
        "run_date": "2020-12-01",
    }
    query = (
        "select print_id, prior_views, prior_clicks, prior_payments, prior_amount"
        f" from marts.fct_prints where print_date = '{day}' order by print_id"
    )
    answers = []
    for case in (everything, past):
        pipeline.write(case)
        pipeline.run(dbt_vars)
        answers.append(pipeline.query(query))
    assert answers[0]
    assert any(row[3] for row in answers[0])
    assert answers[0] == answers[1]


def test_the_same_cut_off_gives_the_same_mart_whatever_comes_after(pipeline: Pipeline) -> None:
    names = ("prints.json", "taps.json", "pays.csv")
    everything = RawCase({name: (CLEAN / name).read_bytes() for name in names}, RUN)
    past = RawCase({name: _before(name, "2020-11-23") for name in names}, RUN)
    marts = []
    for case in (everything, past):
        pipeline.write(case)
        pipeline.run({"as_of_date": "2020-11-22", "run_date": "2020-12-01"})
        marts.append(
            (pipeline.mart(), pipeline.query("from marts.fct_value_prop_weeks order by all"))
        )
    assert marts[0][0]
    assert marts[0] == marts[1]
