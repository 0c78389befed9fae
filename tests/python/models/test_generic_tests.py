"""The project's own generic tests, on small tables."""

from __future__ import annotations

import pytest
from support.harness import ROOT
from support.verdicts import Case, Outcome, hold, verdicts

PRINTS = """
    select * from (values
        (1, 'a', 10), (1, 'b', 20), (2, 'a', 30), (2, 'a', 40)
    ) as prints(week, prop, user_id)
"""
TABLES = {
    "prints": PRINTS,
    "nothing": f"{PRINTS} where week > 9",
    "weeks": """
        select * from (values
            (1, 'a', 1, 10), (1, 'b', 1, 20), (2, 'a', 2, 70), (3, 'a', 5, 50), (1, 'c', 0, 0)
        ) as weeks(week, prop, prints, users)
    """,
}
COUNT = {"prints": "count(*)"}
SUM = {"prints": "sum(prints)"}


def agrees(failures: int | None, label: str, target: str = "prints", **arguments: object) -> Case:
    arguments = {"compare_model": "ref('weeks')", "sums": COUNT, **arguments}
    says = ("sums_agree: ",) if failures is None else ()
    return Case("sums_agree", label, failures, target, arguments, says=says)


CASES = [
    # A key that only one of them has: with a sum of 0 it is the same as none.
    agrees(0, "by_key", key=["week", "prop"], compare_sums=SUM, compare_where="week < 3"),
    agrees(1, "a_key_of_the_other", key=["week", "prop"], compare_sums=SUM),
    agrees(1, "a_key_of_this", key=["week"], compare_sums=SUM, compare_where="week = 2"),
    agrees(0, "in_all", compare_sums=SUM, compare_where="week < 3"),
    agrees(1, "not_in_all", compare_sums=SUM),
    agrees(0, "same_rows", compare_model="ref('prints')"),
    agrees(1, "no_rows", target="nothing", compare_model="ref('prints')"),
    agrees(3, "no_rows_by_key", "nothing", compare_model="ref('prints')", key=["week", "prop"]),
    agrees(0, "both_empty", target="nothing", compare_model="ref('nothing')", key=["week"]),
    # The counts agree, the users do not.
    agrees(
        *(1, "one_of_two_sums"),
        key=["week"],
        sums={**COUNT, "users": "sum(user_id)"},
        compare_sums={**SUM, "users": "sum(case when week = 2 then 71 else users end)"},
        compare_where="week < 3 and (week = 1 or prints = 2)",
    ),
    agrees(None, "sums_of_other_names", compare_sums={"taps": "sum(prints)"}),
    agrees(None, "no_names", sums=["count(*)"]),
    agrees(None, "one_name", key="week"),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("generic")
    return verdicts(folder, CASES, TABLES, macros=[ROOT / "tests" / "generic"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_generic_test_gives_the_verdict(outcomes: dict[str, Outcome], case: Case) -> None:
    hold(case, outcomes)
