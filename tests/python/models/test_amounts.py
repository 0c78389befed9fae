"""Sums of money: as wide as they can be, and where one user has too much, a sentence."""

from __future__ import annotations

from support.harness import RUN_DATE, Pipeline, clean_files

MOST = 10**12
PRINT = b'{"day":"2020-11-28","event_data":{"position":0,"value_prop":"point"},"user_id":7}\n'


def errors_of(pipeline: Pipeline, payments: list[str]) -> dict[str, str]:
    """Build with these payments, and return what models say that could not be built."""
    pays = "\n".join(["pay_date,total,user_id,value_prop", *payments]).encode()
    pipeline.write(clean_files() | {"prints_one.json": PRINT, "pays_much.csv": pays})
    return {
        outcome.name: outcome.message
        for outcome in pipeline.run({"run_date": RUN_DATE})
        if outcome.status == "error"
    }


def test_payments_of_many_users_may_come_to_any_sum(pipeline: Pipeline) -> None:
    payments = [f"2020-11-20,{MOST},{user},point" for user in range(1, 10_003)]
    assert errors_of(pipeline, payments) == {}
    [(day,)] = pipeline.query(
        "select amount from intermediate.int_activity_days"
        " where activity_date = date '2020-11-20' and value_prop = 'point'"
    )
    [(week,)] = pipeline.query(
        "select amount from marts.fct_value_prop_weeks"
        " where week_start_date = date '2020-11-16' and value_prop = 'point'"
    )
    assert week >= day >= 10_002 * MOST


def test_payments_of_one_user_that_the_mart_cannot_hold_are_named(pipeline: Pipeline) -> None:
    fits = [f"2020-11-20,{MOST - 1},7,point"] * 10_000
    assert errors_of(pipeline, fits) == {}
    errors = errors_of(pipeline, [*fits, f"2020-11-20,{MOST},7,point"])
    # The features that serve come from the same definition.
    assert sorted(errors) == ["fct_user_features", "int_prior_activity"]
    message = " ".join(errors["int_prior_activity"].split())
    assert "The payments of user 7 with value prop point before 2020-11-23 come to" in message
    assert "Have these payments corrected, or look back over fewer weeks" in message
