"""Nothing from the future reaches a feature."""

from __future__ import annotations

import datetime
import json

import pytest
from support.harness import RUN_DATE, Pipeline, clean_files


def before(name: str, content: bytes, day: str) -> bytes:
    """A raw file without what is dated on a day or later."""
    lines = content.decode().splitlines()
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
    next_day = str(datetime.date.fromisoformat(day) + datetime.timedelta(days=1))
    past = {
        name: before(name, content, next_day if name == "prints.json" else day)
        for name, content in clean_files().items()
    }
    dbt_vars = {
        "as_of_date": day,
        "week_rule": "latest",
        "lookback_anchor": anchor,
        "allow_incomplete": "true",
        "run_date": RUN_DATE,
    }
    query = (
        "select print_id, prior_views, prior_clicks, prior_payments, prior_amount"
        f" from marts.fct_prints where print_date = '{day}' order by print_id"
    )
    answers = []
    for files in (clean_files(), past):
        pipeline.write(files)
        pipeline.run(dbt_vars)
        answers.append(pipeline.query(query))
    assert any(row[3] for row in answers[0])
    assert answers[0] == answers[1]


def test_the_same_cut_off_gives_the_same_mart_whatever_comes_after(pipeline: Pipeline) -> None:
    past = {name: before(name, content, "2020-11-23") for name, content in clean_files().items()}
    marts = []
    for files in (clean_files(), past):
        pipeline.write(files)
        pipeline.run({"as_of_date": "2020-11-22", "run_date": RUN_DATE})
        weeks = pipeline.query("from marts.fct_value_prop_weeks order by all")
        marts.append((pipeline.mart(), weeks))
    assert marts[0][0]
    assert marts[0] == marts[1]
