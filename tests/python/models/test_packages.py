"""The package tests and macros give the verdicts that this project relies on.

Every rule of dbt_utils and dbt_expectations that the project uses runs here against small tables
that must pass and small tables that must fail. It does so on the stand-ins in packages/, and on
what is installed in dbt_packages/ (or in the folder that DBT_CONFORMANCE_PACKAGES names), so that
the stand-ins and the real packages are held to one description: CASES.

To drop a rule that the project no longer uses, delete its entry in CASES and its file in packages/.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner

ROOT = Path(__file__).parents[3]
STAND_INS = ROOT / "packages"
OVERRIDE = os.environ.get("DBT_CONFORMANCE_PACKAGES")
INSTALLED = Path(OVERRIDE) if OVERRIDE else ROOT / "dbt_packages"
PACKAGES = ("dbt_utils", "dbt_expectations", "dbt_date")

PROJECT_FOLDERS = ("models", "tests", "seeds", "snapshots", "macros", "analyses")
CALL = re.compile(rf"\b((?:{'|'.join(PACKAGES)})\.\w+)")
NULL_PART = "_dbt_utils_surrogate_key_null_"


@dataclass(frozen=True)
class Case:
    """One call of one rule, and what dbt must report: "pass", "fail" or "error".

    A test is called from YAML on `target`, a table of TABLES or a column of one
    ("table.column"). A macro, which YAML cannot call, is called in the singular test `sql`.
    An error must say every text of `message`.
    """

    label: str
    verdict: str
    target: str = ""
    arguments: dict[str, object] = field(default_factory=dict)
    where: str | None = None
    sql: str = ""
    message: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        return self.target.partition(".")[0]

    @property
    def column(self) -> str:
        return self.target.partition(".")[2]


@dataclass(frozen=True)
class Outcome:
    status: str
    message: str


def passes(label: str, target: str, where: str | None = None, **arguments: object) -> Case:
    return Case(f"passes_{label}", "pass", target, arguments, where)


def fails(label: str, target: str, where: str | None = None, **arguments: object) -> Case:
    return Case(f"fails_{label}", "fail", target, arguments, where)


def refuses(
    label: str,
    argument: str,
    allowed: str,
    target: str,
    where: str | None = None,
    **arguments: object,
) -> Case:
    """A wrong argument: the error names it, and what is allowed instead."""
    message = (f"argument {argument} ", f"allowed: {allowed}")
    return Case(f"refuses_{label}", "error", target, arguments, where, message=message)


def refuses_macro(label: str, argument: str, allowed: str, call: str) -> Case:
    sql = f"{{% if execute %}}{{{{ {call} }}}}{{% endif %}}"
    message = (f"argument {argument} ", f"allowed: {allowed}")
    return Case(f"refuses_{label}", "error", sql=sql, message=message)


def key_is(label: str, row: int, fields: list[str], text: str) -> Case:
    """Passes if the key of this row of the table parts is the md5 of the text."""
    sql = f"""
        select * from {{{{ ref('parts') }}}}
        where id = {row}
            and {{{{ dbt_utils.generate_surrogate_key({fields}) }}}}
                is distinct from '{hashlib.md5(text.encode()).hexdigest()}'
    """
    return Case(f"passes_{label}", "pass", sql=sql)


def series_ends_at(upper_bound: int) -> Case:
    """Passes if the series is 1, 2, ... upper_bound, each number once, as double."""
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
    return Case(f"passes_to_{upper_bound}", "pass", sql=sql)


TABLES = {
    # Two rows of grade a, one of b.
    "scores": """
        select * from (values
            (1, 'a', 1, 5), (2, 'a', 2, 5), (3, 'b', 3, 3)
        ) as scores(id, grade, score, ceiling)
    """,
    # As many rows as scores, but one of grade a and two of grade b.
    "turned_scores": """
        select * from (values
            (1, 'a', 10, 5), (2, 'b', 20, 5), (3, 'b', 30, 3)
        ) as scores(id, grade, score, ceiling)
    """,
    # The grades of scores, and one c.
    "more_scores": """
        select * from (values
            (1, 'a', 1), (2, 'a', 2), (3, 'b', 3), (4, 'c', 4)
        ) as scores(id, grade, score)
    """,
    # Every row of scores twice.
    "doubled_scores": """
        select * from (values
            (1, 'a', 1), (2, 'a', 2), (3, 'b', 3), (1, 'a', 1), (2, 'a', 2), (3, 'b', 3)
        ) as scores(id, level, score)
    """,
    "no_scores": """
        select * from (values (1, 'a', 1, 5)) as scores(id, grade, score, ceiling)
        where id < 0
    """,
    # Grade a has a score, grade b and the rows without a grade have none.
    "gappy_scores": """
        select * from (values
            (1, 'a', 1), (2, 'a', cast(null as integer)), (3, 'b', null), (4, null, null)
        ) as scores(id, grade, score)
    """,
    "null_scores": """
        select * from (values
            (1, 'a', cast(null as integer)), (2, 'b', null)
        ) as scores(id, grade, score)
    """,
    "pairs": """
        select * from (values
            (1, 'x', 'p'), (2, 'x', 'q'), (3, 'y', 'p')
        ) as pairs(id, "first", "order")
    """,
    "twin_pairs": """
        select * from (values
            (1, 'x', 'p'), (2, 'x', 'q'), (3, 'x', 'p')
        ) as pairs(id, "first", "order")
    """,
    # Two rows without any part.
    "twin_blank_pairs": """
        select * from (values
            (1, 'x', 'p'), (2, cast(null as varchar), cast(null as varchar)), (3, null, null)
        ) as pairs(id, "first", "order")
    """,
    # Two rows with the same one part.
    "twin_half_pairs": """
        select * from (values
            (1, 'x', 'p'), (2, 'x', cast(null as varchar)), (3, 'x', null)
        ) as pairs(id, "first", "order")
    """,
    "half_pairs": """
        select * from (values
            (1, 'x', 'p'), (2, 'x', cast(null as varchar)), (3, null, 'p')
        ) as pairs(id, "first", "order")
    """,
    "words": """
        select * from (values
            (1, 'cat', '2020-11-05'), (2, 'hat', '2020-11-06'), (3, 'bat', '2020-11-07')
        ) as words(id, word, day_text)
    """,
    "mixed_words": """
        select * from (values
            (1, 'cat', '2020-11-05'), (2, 'Dog', 'x2020-11-06'), (3, null, '2020-11-7'),
            (4, 'it''s', '2020-11-08')
        ) as words(id, word, day_text)
    """,
    "spans": """
        select * from (values
            (1, 2, 1, date '2020-11-02', date '2020-11-09'),
            (2, 3, 3, date '2020-11-09', date '2020-11-16')
        ) as spans(id, high, low, start_date, end_date)
    """,
    "gappy_spans": """
        select * from (values
            (1, 2, 1), (2, cast(null as integer), 3), (3, 3, null)
        ) as spans(id, high, low)
    """,
    "types": """
        select
            cast(1 as integer) as whole,
            cast(1 as bigint) as big,
            cast('a' as varchar) as label,
            cast(1 as decimal(18, 2)) as amount,
            cast(1 as double) as ratio,
            cast('2020-11-05' as date) as "Day",
            cast('2020-11-05 10:00:00' as timestamp) as seen_at,
            true as is_on
    """,
    "debts": """
        select * from (values (1, -1), (2, 1)) as debts(id, balance)
    """,
    "parts": """
        select * from (values
            (1, 'a', 'b', 7, date '2020-11-05', true),
            (2, cast(null as varchar), '', cast(null as integer), null, null)
        ) as parts(id, one, two, number, day, flag)
    """,
}


CASES: dict[str, list[Case]] = {
    "dbt_utils.generate_surrogate_key": [
        key_is("two_parts", 1, ["one", "two"], "a-b"),
        key_is("order_matters", 1, ["two", "one"], "b-a"),
        key_is("typed_parts", 1, ["number", "day", "flag"], "7-2020-11-05-true"),
        key_is("an_expression", 1, ["upper(one)", "number + 1"], "A-8"),
        key_is("null_parts", 2, ["one", "number"], f"{NULL_PART}-{NULL_PART}"),
        key_is("empty_is_not_null", 2, ["two", "one"], f"-{NULL_PART}"),
        refuses_macro("one_name", "field_list", "a list", "dbt_utils.generate_surrogate_key('id')"),
        refuses_macro("no_names", "field_list", "a list", "dbt_utils.generate_surrogate_key([])"),
    ],
    "dbt_utils.generate_series": [
        *(series_ends_at(upper_bound) for upper_bound in (1, 10, 11, 1000)),
        refuses_macro("zero", "upper_bound", "a whole number", "dbt_utils.generate_series(0)"),
        refuses_macro("half", "upper_bound", "a whole number", "dbt_utils.generate_series(1.5)"),
        refuses_macro("text", "upper_bound", "a whole number", "dbt_utils.generate_series('9')"),
    ],
    "dbt_utils.unique_combination_of_columns": [
        passes("pairs", "scores", combination_of_columns=["grade", "score"]),
        passes("no_rows", "no_scores", combination_of_columns=["id"]),
        passes(
            "reserved_words", "pairs", combination_of_columns=["first", "order"], quote_columns=True
        ),
        passes("differ_in_a_null", "half_pairs", combination_of_columns=["first", '"order"']),
        fails("one_column", "scores", combination_of_columns=["grade"]),
        fails("whole_rows", "doubled_scores", combination_of_columns=["id", "level", "score"]),
        fails(
            "reserved_words",
            "twin_pairs",
            combination_of_columns=["first", "order"],
            quote_columns=True,
        ),
        fails("alike_in_a_null", "twin_half_pairs", combination_of_columns=["first", '"order"']),
        fails(
            "alike_in_all_nulls", "twin_blank_pairs", combination_of_columns=["first", '"order"']
        ),
        refuses(
            "no_names", "combination_of_columns", "a list", "scores", combination_of_columns=[]
        ),
        refuses(
            "word_as_flag",
            "quote_columns",
            "true or false",
            "scores",
            combination_of_columns=["id"],
            quote_columns="yes",
        ),
    ],
    "dbt_utils.expression_is_true": [
        passes("every_row", "scores", expression="score <= ceiling"),
        passes("null_is_not_false", "gappy_scores", expression="score = 1"),
        passes("where", "scores", where="grade = 'b'", expression="score = ceiling"),
        passes("column", "scores.score", expression=">= 1"),
        passes("column_or", "scores.score", expression="= 3 or score < ceiling"),
        fails("one_row", "scores", expression="score < ceiling"),
        fails("neither_side_of_or", "scores", expression="score < 2 or score > 2"),
        fails("column", "scores.score", expression="> 1"),
        fails("column_or", "scores.score", expression="= 1 or score = 2"),
        refuses("no_text", "expression", "a SQL condition", "scores", expression=""),
    ],
    "dbt_expectations.expect_table_columns_to_match_ordered_list": [
        passes("same", "pairs", column_list=["id", "first", "order"]),
        passes("other_case", "pairs", column_list=["ID", "First", "order"]),
        fails("order", "pairs", column_list=["id", "order", "first"]),
        fails("one_missing", "pairs", column_list=["id", "first", "order", "more"]),
        fails("one_too_many", "pairs", column_list=["id", "first"]),
        fails("first_left_out", "pairs", column_list=["first", "order"]),
        fails("case_kept", "pairs", column_list=["id", "First", "order"], transform="string"),
        refuses("one_name", "column_list", "a list", "pairs", column_list="id"),
        refuses(
            "no_filter",
            "transform",
            "a Jinja filter",
            "pairs",
            column_list=["id"],
            transform="shout",
        ),
        refuses(
            "where", "model", "a table without where", "pairs", where="id = 1", column_list=["id"]
        ),
    ],
    "dbt_expectations.expect_column_values_to_be_of_type": [
        passes("upper_case", "types.whole", column_type="INTEGER"),
        passes("decimal", "types.amount", column_type="decimal(18,2)"),
        fails("column_in_other_case", "types.day", column_type="timestamp"),
        passes("timestamp", "types.seen_at", column_type="timestamp"),
        # A hole of the real test; a contract shuts it.
        passes("no_such_column", "types.absent", column_type="integer"),
        fails("wider", "types.big", column_type="integer"),
        fails("another_name_of_the_type", "types.whole", column_type="int"),
        fails("other_scale", "types.amount", column_type="decimal(18,3)"),
        refuses("list", "column_type", "a type name", "types.whole", column_type=["integer"]),
        refuses(
            "where",
            "model",
            "a table without where",
            "types.whole",
            where="is_on",
            column_type="integer",
        ),
    ],
    "dbt_expectations.expect_column_values_to_match_regex": [
        passes("anywhere", "words.word", regex="[at]+"),
        passes("anchored", "words.word", regex="^[bch]at$"),
        passes("backslash", "words.day_text", regex=r"^\d{4}-\d\d-\d\d$"),
        passes("raw_backslash", "words.day_text", regex=r"^\d{4}-\d\d-\d\d$", is_raw=True),
        passes("null", "mixed_words.word", where="word is null", regex="z"),
        passes(
            "row_condition", "mixed_words.word", regex="^cat$", row_condition="id = 1 or id = 3"
        ),
        passes("ignoring_case", "mixed_words.word", where="id < 3", regex="^(CAT|DOG)$", flags="i"),
        passes("apostrophe_written_twice", "mixed_words.word", where="id = 4", regex="t''s"),
        fails("one_row", "mixed_words.word", regex="^cat$"),
        fails("case", "words.word", regex="AT"),
        fails("row_condition", "mixed_words.word", regex="^cat$", row_condition="id = 1 or id = 2"),
        refuses("apostrophe", "regex", "a pattern", "words.word", regex="t's"),
        refuses(
            "flag", "row_condition", "a SQL condition", "words.word", regex="a", row_condition=True
        ),
        refuses("list", "flags", "letters", "words.word", regex="a", flags=["i"]),
    ],
    "dbt_expectations.expect_table_row_count_to_be_between": [
        passes("ends_are_inside", "doubled_scores", min_value=6, max_value=6),
        passes("strictly", "scores", min_value=2, max_value=4, strictly=True),
        passes("no_rows", "no_scores", min_value=0, max_value=0),
        passes("groups", "scores", min_value=1, max_value=2, group_by=["grade"]),
        passes("no_groups", "no_scores", min_value=1, group_by=["grade"]),
        passes("row_condition", "scores", max_value=2, row_condition="id = 1 or id = 2"),
        fails("too_few_of_both", "scores", min_value=4, max_value=9),
        fails("too_many_of_both", "scores", min_value=0, max_value=2),
        fails("lower_end_strictly", "scores", min_value=3, strictly=True),
        fails("no_rows", "no_scores", min_value=1),
        fails("one_group", "scores", min_value=2, group_by=["grade"]),
        fails("row_condition", "scores", min_value=3, row_condition="grade = 'a'"),
        refuses("no_bound", "min_value", "a bound", "scores"),
        refuses("one_name", "group_by", "a list", "scores", max_value=3, group_by="grade"),
        refuses("word_as_flag", "strictly", "true or false", "scores", max_value=3, strictly="no"),
    ],
    "dbt_expectations.expect_table_row_count_to_equal_other_table": [
        passes("same_count", "scores", compare_model="ref('turned_scores')"),
        passes("both_empty", "no_scores", compare_model="ref('no_scores')"),
        passes("factor", "doubled_scores", compare_model="ref('scores')", factor=2),
        passes(
            "row_condition_of_both",
            "scores",
            compare_model="ref('more_scores')",
            row_condition="grade = 'a' or grade = 'b'",
        ),
        passes(
            "row_condition_of_each",
            "scores",
            compare_model="ref('turned_scores')",
            row_condition="grade = 'a'",
            compare_row_condition="grade = 'b'",
        ),
        passes(
            "compare_row_condition",
            "scores",
            compare_model="ref('more_scores')",
            compare_row_condition="grade = 'a' or grade = 'b'",
        ),
        passes("same_groups", "scores", compare_model="ref('scores')", group_by=["grade"]),
        passes(
            "groups_of_other_name",
            "doubled_scores",
            compare_model="ref('scores')",
            factor=2,
            group_by=["level"],
            compare_group_by=["grade"],
        ),
        fails("empty", "no_scores", compare_model="ref('scores')"),
        fails("other_is_empty", "scores", compare_model="ref('no_scores')"),
        fails(
            "row_condition",
            "scores",
            compare_model="ref('turned_scores')",
            row_condition="grade = 'a'",
        ),
        fails("other_groups", "scores", compare_model="ref('turned_scores')", group_by=["grade"]),
        fails(
            "group_on_this_side", "more_scores", compare_model="ref('scores')", group_by=["grade"]
        ),
        fails(
            "group_on_other_side", "scores", compare_model="ref('more_scores')", group_by=["grade"]
        ),
        fails(
            "null_group", "gappy_scores", compare_model="ref('gappy_scores')", group_by=["grade"]
        ),
        refuses("no_table", "compare_model", "a ref() or a source()", "scores", compare_model=None),
        refuses(
            "names_for_one_side",
            "compare_group_by",
            "as many",
            "scores",
            compare_model="scores",
            compare_group_by=["grade"],
        ),
        refuses("text", "factor", "a number", "scores", compare_model="scores", factor="two"),
    ],
    "dbt_expectations.expect_column_mean_to_be_between": [
        passes("ends_are_inside", "scores.score", min_value=2, max_value=2),
        passes("not_the_median", "scores.ceiling", max_value=4.5),
        passes("nulls_do_not_count", "gappy_scores.score", min_value=1, max_value=1),
        passes("groups", "scores.score", min_value=1.5, max_value=3, group_by=["grade"]),
        passes("row_condition", "scores.score", max_value=1.5, row_condition="id = 1 or id = 2"),
        fails("too_high_of_both", "scores.score", min_value=0, max_value=1.9),
        fails("fraction_of_whole_numbers", "scores.score", where="id < 3", max_value=1.4),
        fails("lower_end_strictly", "scores.score", min_value=2, strictly=True),
        fails("one_group", "scores.score", max_value=2, group_by=["grade"]),
        refuses("no_bound", "min_value", "a bound", "scores.score"),
        refuses("no_names", "group_by", "a list", "scores.score", max_value=3, group_by=[]),
    ],
    "dbt_expectations.expect_column_pair_values_A_to_be_greater_than_B": [
        passes("greater", "turned_scores", column_A="score", column_B="ceiling"),
        passes("or_equal", "scores", column_A="ceiling", column_B="score", or_equal=True),
        passes("nulls", "gappy_spans", column_A="high", column_B="low"),
        passes(
            "row_condition",
            "scores",
            column_A="ceiling",
            column_B="score",
            row_condition="id = 1 or id = 2",
        ),
        fails("equal", "spans", column_A="high", column_B="low"),
        fails("less", "scores", column_A="score", column_B="ceiling"),
        fails("less_or_equal", "scores", column_A="score", column_B="ceiling", or_equal=True),
        fails("beside_nulls", "gappy_spans", column_A="low", column_B="high"),
        fails("row_condition", "spans", column_A="high", column_B="low", row_condition="id = 2"),
        refuses("number", "column_B", "a column name", "scores", column_A="score", column_B=1),
        refuses(
            "word_as_flag",
            "or_equal",
            "true or false",
            "scores",
            column_A="score",
            column_B="id",
            or_equal="yes",
        ),
    ],
}


def case_name(rule: str, case: Case) -> str:
    return f"{rule.replace('.', '__')}__{case.label}"


def cases(*verdicts: str) -> list[tuple[str, Case]]:
    return [(rule, case) for rule in CASES for case in CASES[rule] if case.verdict in verdicts]


def names(*verdicts: str) -> list[str]:
    return [case_name(rule, case) for rule, case in cases(*verdicts)]


def refused_call(rule: str, case: Case) -> str:
    """A singular test that calls a test's macro only when it runs.

    Called from YAML, a wrong argument stops dbt while it parses: one such case a project.
    """
    package, _, test = rule.partition(".")
    relation = f"ref('{case.table}')"
    if case.where:
        relation = f"'(select * from ' ~ {relation} ~ ' where {case.where}) as filtered'"
    column = f"column_name='{case.column}', " if case.column else ""
    return (
        f"{{% set arguments %}}{json.dumps(case.arguments)}{{% endset %}}"
        f"{{% set model = {relation} %}}"
        f"{{% if execute %}}{{{{ {package}.test_{test}("
        f"model=model, {column}**fromjson(arguments)) }}}}{{% endif %}}"
    )


def called_test(rule: str, case: Case) -> dict[str, object]:
    """The YAML of a data test, as data."""
    test: dict[str, object] = {"name": case_name(rule, case)}
    if case.arguments:
        test["arguments"] = case.arguments
    if case.where:
        test["config"] = {"where": case.where}
    return {rule: test}


def model_properties(table: str, calls: Iterable[tuple[str, Case]]) -> dict[str, object]:
    of_table: list[object] = []
    of_columns: dict[str, list[object]] = {}
    for rule, case in calls:
        if case.table == table:
            tests = of_columns.setdefault(case.column, []) if case.column else of_table
            tests.append(called_test(rule, case))
    columns = [{"name": name, "data_tests": tests} for name, tests in of_columns.items()]
    return {"name": table, "data_tests": of_table, "columns": columns}


def write_project(folder: Path, packages: Path, verdicts: tuple[str, ...]) -> None:
    """A dbt project in which each table is a model and each case a data test.

    Its YAML files hold JSON, which is YAML too.
    """
    project = {
        "name": "conformance",
        "version": "1.0.0",
        "profile": "conformance",
        "vars": {"dbt_date:time_zone": "UTC"},
        "flags": {
            "require_generic_test_arguments_property": True,
            "send_anonymous_usage_stats": False,
        },
    }
    output = {"type": "duckdb", "path": str(folder / "conformance.duckdb"), "threads": 1}
    profiles = {"conformance": {"target": "file", "outputs": {"file": output}}}
    called = [(rule, case) for rule, case in cases("pass", "fail") if not case.sql]
    models = [model_properties(table, called) for table in TABLES]

    for name in ("models", "tests", "dbt_packages"):
        (folder / name).mkdir()
    for package in PACKAGES:
        (folder / "dbt_packages" / package).symlink_to((packages / package).resolve())
    (folder / "dbt_project.yml").write_text(json.dumps(project), encoding="utf-8")
    (folder / "profiles.yml").write_text(json.dumps(profiles), encoding="utf-8")
    (folder / "models" / "_models.yml").write_text(json.dumps({"models": models}), encoding="utf-8")
    for table, sql in TABLES.items():
        (folder / "models" / f"{table}.sql").write_text(sql, encoding="utf-8")
    for rule, case in cases(*verdicts):
        if case.sql or case.verdict == "error":
            sql = case.sql or refused_call(rule, case)
            (folder / "tests" / f"{case_name(rule, case)}.sql").write_text(sql, encoding="utf-8")


def build(folder: Path) -> dict[str, Outcome]:
    """Builds the project once, and returns what became of each of its nodes, by name."""
    where = ["--project-dir", str(folder), "--profiles-dir", str(folder)]
    silence = ["--quiet", "--log-level", "none", "--log-level-file", "none"]
    speed = ["--no-write-json", "--no-partial-parse"]
    result = dbtRunner().invoke(["build", *where, *silence, *speed])
    assert isinstance(result.result, RunExecutionResult), f"dbt ran no case: {result.exception}"
    return {run.node.name: Outcome(str(run.status), run.message or "") for run in result.result}


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """What dbt reported on each case, with one set of packages."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "stand_ins":
        write_project(folder, STAND_INS, ("pass", "fail", "error"))
        return build(folder)
    missing = [name for name in PACKAGES if not (INSTALLED / name).is_dir()]
    if missing and OVERRIDE:
        pytest.fail(f"DBT_CONFORMANCE_PACKAGES is {INSTALLED}, which lacks {missing}")
    if missing:
        pytest.skip(f"{INSTALLED} lacks {missing}: the packages are not installed")
    write_project(folder, INSTALLED, ("pass", "fail"))
    return build(folder)


@pytest.mark.parametrize("outcomes", ["stand_ins", "installed"], indirect=True)
@pytest.mark.parametrize(("rule", "case"), cases("pass", "fail"), ids=names("pass", "fail"))
def test_package_gives_the_verdict(outcomes: dict[str, Outcome], rule: str, case: Case) -> None:
    outcome = outcomes[case_name(rule, case)]
    assert outcome.status == case.verdict, outcome.message


@pytest.mark.parametrize("outcomes", ["stand_ins"], indirect=True)
@pytest.mark.parametrize(("rule", "case"), cases("error"), ids=names("error"))
def test_stand_in_refuses_the_argument(outcomes: dict[str, Outcome], rule: str, case: Case) -> None:
    outcome = outcomes[case_name(rule, case)]
    assert outcome.status == "error"
    for text in (f"{rule}: ", *case.message):
        assert text in outcome.message


def rules_in_use() -> set[str]:
    """Every package macro or test that the project's own SQL and YAML call."""
    return {
        call
        for folder in PROJECT_FOLDERS
        for suffix in ("sql", "yml", "yaml")
        for path in (ROOT / folder).rglob(f"*.{suffix}")
        for call in CALL.findall(path.read_text(encoding="utf-8"))
    }


def stand_in_files() -> dict[str, Path]:
    """The file of each macro of the stand-ins: a file holds one, and is named after it."""
    return {
        f"{package}.{path.stem}": path
        for package in PACKAGES
        for path in (STAND_INS / package / "macros").rglob("*.sql")
    }


def with_what_they_call(rules: Iterable[str], files: dict[str, Path]) -> Iterator[str]:
    """The rules, and the macros of the stand-ins that they call, directly or not."""
    seen: set[str] = set()
    waiting = list(rules)
    while waiting:
        rule = waiting.pop()
        if rule not in seen and rule in files:
            seen.add(rule)
            waiting += CALL.findall(files[rule].read_text(encoding="utf-8"))
    return iter(seen)


def test_cases_cover_every_rule_in_use() -> None:
    missing = rules_in_use() - CASES.keys()
    assert not missing, f"the project uses these without a case in CASES: {sorted(missing)}"


def test_cases_cover_every_stand_in() -> None:
    public = {rule for rule, path in stand_in_files().items() if path.parent.name != "internal"}
    assert public == CASES.keys(), "a stand-in without cases, or cases without a stand-in"


def test_stand_ins_hold_only_what_the_project_uses() -> None:
    files = stand_in_files()
    unused = files.keys() - set(with_what_they_call(rules_in_use(), files))
    paths = sorted(str(files[rule].relative_to(ROOT)) for rule in unused)
    assert not unused, (
        "the project needs none of these: delete the files, and their entries in CASES:\n"
        + "\n".join(paths)
    )
