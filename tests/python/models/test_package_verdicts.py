"""The package tests and macros give the verdicts that this project relies on.

Every one that the project calls runs here against small tables in which it must find no row, and
small tables in which it must find some. It does so on the stand-ins in packages/, and on what is
installed in dbt_packages/ (or in the folder that DBT_CONFORMANCE_PACKAGES names), so that the
stand-ins and the real packages are held to one description: CASES.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.harness import ROOT
from support.verdicts import Case, Outcome, hold, verdicts

PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/dbt_project.yml"))
OVERRIDE = os.environ.get("DBT_CONFORMANCE_PACKAGES")
FOLDERS = {
    "stand_ins": ROOT / "packages",
    "installed": Path(OVERRIDE) if OVERRIDE else ROOT / "dbt_packages",
}
NULL_PART = "_dbt_utils_surrogate_key_null_"

# Two rows of grade a, one of b.
SCORES = """
    select * from (values
        (1, 'a', 1, 5), (2, 'a', 2, 5), (3, 'b', 3, 3)
    ) as scores(id, grade, score, ceiling)
"""
# None reads another: dbt skips what reads a table that a test found wrong.
TABLES = {
    "scores": SCORES,
    "doubled_scores": f"{SCORES} union all {SCORES}",
    "no_scores": f"{SCORES} where id < 0",
    # Grade a has a score, grade b and the rows without a grade have none.
    "gappy_scores": """
        select * from (values
            (1, 'a', 1), (2, 'a', cast(null as integer)), (3, 'b', null), (4, null, null)
        ) as scores(id, grade, score)
    """,
    "half_pairs": """
        select * from (values
            (1, 'x', 'p'), (2, 'x', cast(null as varchar)), (3, null, 'p')
        ) as pairs(id, one, two)
    """,
    # Two rows with the same one part, and two without any.
    "twin_pairs": """
        select * from (values
            (1, 'x', cast(null as varchar)), (2, 'x', null), (3, null, null), (4, null, null)
        ) as pairs(id, one, two)
    """,
    "words": """
        select * from (values
            (1, 'cat', '2020-11-05'), (2, 'hat', '2020-11-06'), (3, 'bat', '2020-11-07')
        ) as words(id, word, day_text)
    """,
    "mixed_words": """
        select * from (values (1, 'cat'), (2, 'Dog'), (3, null), (4, 'it''s')) as words(id, word)
    """,
    "types": """
        select
            cast(1 as integer) as whole,
            cast(1 as bigint) as big,
            cast(1 as decimal(18, 2)) as amount,
            cast('2020-11-05' as date) as "Day",
            cast('2020-11-05 10:00:00' as timestamp) as seen_at,
            true as is_on
    """,
    "parts": """
        select * from (values
            (1, 'a', 'b', 7, date '2020-11-05', true),
            (2, cast(null as varchar), '', cast(null as integer), null, null)
        ) as parts(id, one, two, number, day, flag)
    """,
}


def finds(failures: int, label: str, target: str, where: str = "", **arguments: object) -> Case:
    """A call that finds so many rows; its rule is given by CASES."""
    return Case("", label, failures, target, arguments, where)


def refuses(
    label: str, argument: str, allowed: str, target: str, where: str = "", **arguments: object
) -> Case:
    """A call with a wrong argument: the error names it, and what is allowed instead."""
    says = (f"argument {argument} ", f"allowed: {allowed}")
    return Case("", label, None, target, arguments, where, says=says)


def refuses_macro(label: str, argument: str, allowed: str, call: str) -> Case:
    sql = f"{{% if execute %}}{{{{ dbt_utils.{call} }}}}{{% endif %}}"
    return Case("", label, None, sql=sql, says=(f"argument {argument} ", f"allowed: {allowed}"))


def key_is(label: str, row: int, fields: list[str], text: str) -> Case:
    """The key of this row of the table parts is the MD5 of the text."""
    sql = f"""
        select * from {{{{ ref('parts') }}}}
        where id = {row}
            and {{{{ dbt_utils.generate_surrogate_key({fields}) }}}}
                is distinct from '{hashlib.md5(text.encode()).hexdigest()}'
    """
    return Case("", label, 0, sql=sql)


def series_ends_at(upper_bound: int) -> Case:
    """The series is 1, 2, ... upper_bound, each number once, as double."""
    sql = f"""
        select count(*) as number_count
        from ({{{{ dbt_utils.generate_series({upper_bound}) }}}}) as series
        having count(*) <> {upper_bound}
            or count(distinct generated_number) <> {upper_bound}
            or min(generated_number) <> 1
            or max(generated_number) <> {upper_bound}
            or sum(generated_number) <> {upper_bound * (upper_bound + 1) // 2}
            or lower(max(typeof(generated_number))) <> 'double'
    """
    return Case("", f"to_{upper_bound}", 0, sql=sql)


CASES: dict[str, list[Case]] = {
    "dbt_utils.generate_surrogate_key": [
        key_is("two_parts", 1, ["one", "two"], "a-b"),
        key_is("order_matters", 1, ["two", "one"], "b-a"),
        key_is("typed_parts", 1, ["number", "day", "flag"], "7-2020-11-05-true"),
        key_is("an_expression", 1, ["upper(one)", "number + 1"], "A-8"),
        key_is("null_parts", 2, ["one", "number"], f"{NULL_PART}-{NULL_PART}"),
        key_is("empty_is_not_null", 2, ["two", "one"], f"-{NULL_PART}"),
        refuses_macro("one_name", "field_list", "a list", "generate_surrogate_key('id')"),
        refuses_macro("no_names", "field_list", "a list", "generate_surrogate_key([])"),
    ],
    "dbt_utils.generate_series": [
        *(series_ends_at(upper_bound) for upper_bound in (1, 10, 11, 1000)),
        *(
            refuses_macro(label, "upper_bound", "a whole number", f"generate_series({value})")
            for label, value in (("zero", "0"), ("half", "1.5"), ("text", "'9'"))
        ),
    ],
    "dbt_utils.unique_combination_of_columns": [
        finds(0, "pairs", "scores", combination_of_columns=["grade", "score"]),
        finds(0, "no_rows", "no_scores", combination_of_columns=["id"]),
        finds(0, "differ_in_a_null", "half_pairs", combination_of_columns=["one", "two"]),
        finds(1, "one_column", "scores", combination_of_columns=["grade"]),
        finds(3, "whole_rows", "doubled_scores", combination_of_columns=["id", "grade", "score"]),
        finds(2, "alike_in_nulls", "twin_pairs", combination_of_columns=["one", "two"]),
        finds(0, "where", "scores", where="id > 1", combination_of_columns=["grade"]),
        refuses(
            "no_names", "combination_of_columns", "a list", "scores", combination_of_columns=[]
        ),
        refuses(
            "one_name", "combination_of_columns", "a list", "scores", combination_of_columns="id"
        ),
    ],
    "dbt_utils.expression_is_true": [
        finds(0, "every_row", "scores", expression="score <= ceiling"),
        finds(0, "null_is_not_false", "gappy_scores", expression="score = 1"),
        finds(0, "where", "scores", where="grade = 'b'", expression="score = ceiling"),
        finds(1, "one_row", "scores", expression="score < ceiling"),
        finds(1, "neither_side_of_or", "scores", expression="score < 2 or score > 2"),
        refuses("no_text", "expression", "a SQL condition", "scores", expression=""),
    ],
    "dbt_expectations.expect_column_values_to_be_of_type": [
        finds(0, "upper_case", "types.whole", column_type="INTEGER"),
        finds(0, "decimal", "types.amount", column_type="decimal(18,2)"),
        finds(0, "timestamp", "types.seen_at", column_type="timestamp"),
        # A hole of the real test; a contract shuts it.
        finds(0, "no_such_column", "types.absent", column_type="integer"),
        finds(1, "column_in_other_case", "types.day", column_type="timestamp"),
        finds(1, "wider", "types.big", column_type="integer"),
        finds(1, "another_name_of_the_type", "types.whole", column_type="int"),
        finds(1, "other_scale", "types.amount", column_type="decimal(18,3)"),
        refuses("list", "column_type", "a type name", "types.whole", column_type=["integer"]),
        refuses(
            *("where", "model", "a table without where", "types.whole"),
            where="is_on",
            column_type="integer",
        ),
    ],
    "dbt_expectations.expect_column_values_to_match_regex": [
        finds(0, "anywhere", "words.word", regex="[at]+"),
        finds(0, "anchored", "words.word", regex="^[bch]at$"),
        finds(0, "backslash", "words.day_text", regex=r"^\d{4}-\d\d-\d\d$"),
        finds(0, "null", "mixed_words.word", where="word is null", regex="z"),
        finds(0, "apostrophe_written_twice", "mixed_words.word", where="id = 4", regex="t''s"),
        finds(2, "two_rows", "mixed_words.word", regex="^cat$"),
        finds(3, "case", "words.word", regex="AT"),
        refuses("apostrophe", "regex", "a pattern", "words.word", regex="t's"),
    ],
    "dbt_expectations.expect_table_row_count_to_be_between": [
        finds(0, "ends_are_inside", "doubled_scores", min_value=6, max_value=6),
        finds(0, "no_rows", "no_scores", min_value=0, max_value=0),
        finds(1, "too_few_of_both", "scores", min_value=4, max_value=9),
        finds(1, "too_many_of_both", "scores", min_value=0, max_value=2),
        finds(1, "no_rows", "no_scores", min_value=1),
        refuses("no_bound", "min_value", "a bound", "scores"),
    ],
    "dbt_expectations.expect_column_mean_to_be_between": [
        finds(0, "ends_are_inside", "scores.score", min_value=2, max_value=2),
        finds(0, "not_the_median", "scores.ceiling", max_value=4.5),
        finds(0, "nulls_do_not_count", "gappy_scores.score", min_value=1, max_value=1),
        finds(0, "row_condition", "scores.score", max_value=1.5, row_condition="id = 1 or id = 2"),
        finds(0, "no_rows", "no_scores.score", min_value=1),
        finds(1, "too_high_of_both", "scores.score", min_value=0, max_value=1.9),
        finds(1, "fraction_of_whole_numbers", "scores.score", where="id < 3", max_value=1.4),
        refuses("no_bound", "min_value", "a bound", "scores.score"),
        refuses("flag", "max_value", "a number", "scores.score", max_value=True),
        refuses(
            *("flag_as_condition", "row_condition", "a SQL condition", "scores.score"),
            max_value=3,
            row_condition=True,
        ),
    ],
}
ALL_CASES = [replace(case, rule=rule) for rule, cases in CASES.items() for case in cases]


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """What dbt reported on each case, with one set of packages."""
    packages = [FOLDERS[request.param] / name for name in PACKAGES]
    missing = [str(package) for package in packages if not package.is_dir()]
    if missing and OVERRIDE:
        pytest.fail(f"DBT_CONFORMANCE_PACKAGES lacks {missing}")
    if missing:
        pytest.skip(f"the packages are not installed: {missing}")
    # The real packages hand some wrong arguments on to the database.
    is_strict = request.param == "stand_ins"
    asked = [case for case in ALL_CASES if is_strict or case.failures is not None]
    return verdicts(tmp_path_factory.mktemp(request.param), asked, TABLES, packages)


@pytest.mark.parametrize("outcomes", FOLDERS, indirect=True)
@pytest.mark.parametrize(
    "case", [case for case in ALL_CASES if case.failures is not None], ids=lambda case: case.name
)
def test_package_gives_the_verdict(outcomes: dict[str, Outcome], case: Case) -> None:
    hold(case, outcomes)


@pytest.mark.parametrize("outcomes", ["stand_ins"], indirect=True)
@pytest.mark.parametrize(
    "case", [case for case in ALL_CASES if case.failures is None], ids=lambda case: case.name
)
def test_stand_in_refuses_the_argument(outcomes: dict[str, Outcome], case: Case) -> None:
    hold(case, outcomes)
    assert f"{case.rule}: " in outcomes[case.name].message


def test_every_stand_in_has_cases() -> None:
    public = {
        f"{path.relative_to(ROOT).parts[1]}.{path.stem}"
        for path in ROOT.glob("packages/*/macros/*/*.sql")
        if path.parent.name != "internal"
    }
    assert public == CASES.keys()
