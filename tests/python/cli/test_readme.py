"""The READMEs and the pages of docs/ are true: what they name exists, in both languages."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from pathlib import Path

import duckdb
import pytest
from support.harness import ROOT
from support.reference import MART_COLUMNS

from value_props.cli.program import cli
from value_props.parameters import PARAMETERS
from value_props.resources import RESOURCES

ENGLISH, SPANISH = ROOT / "README.md", ROOT / "README.es.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
# What a name in backticks may begin with although git has no such file.
MADE_LATER = ("data/", "target/", "current/", ".venv")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def sections(path: Path) -> list[str]:
    """What stands before the first heading of level two, and below each of them."""
    return text_of(path).split("\n## ")


def commands(text: str) -> set[str]:
    """The indented command lines, without their comments."""
    lines = re.findall(r"^    (\S.*)$", text, re.M)
    return {line.partition("#")[0].strip() for line in lines}


def names(text: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`]+)`", text))


def test_both_readmes_name_the_same_commands_and_values_below_each_heading() -> None:
    for english, spanish in zip(sections(ENGLISH), sections(SPANISH), strict=True):
        heading = english.partition("\n")[0]
        assert commands(english) == commands(spanish), heading
        assert names(english) == names(spanish), heading
    assert commands(text_of(ENGLISH)) >= {"make build", "make test", "make docs", "make serve-docs"}


def test_the_readme_shows_one_row_of_the_mart() -> None:
    """Every column in its order, and a key that fits the other values."""
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", text_of(ENGLISH), re.M)
    row = dict(rows)
    assert tuple(row) == MART_COLUMNS
    key = "-".join(row[name] for name in ("print_date", "user_id", "value_prop", "position"))
    assert row["print_id"] == hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()


def test_the_questions_of_the_readme_have_the_same_answer(published: Path) -> None:
    [query] = re.findall(r'^    duckdb -readonly data/out/(.*) "(.*)"$', text_of(ENGLISH), re.M)
    with duckdb.connect(str(published / query[0]), read_only=True) as connection:
        by_duckdb = dict(connection.execute(query[1]).fetchall())
    lines = re.findall(r"^    ((?:pandas|polars)\..*)$", text_of(ENGLISH), re.M)
    assert len(lines) == 2
    modules = {name: importlib.import_module(name) for name in ("pandas", "polars")}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(published)
        by_pandas, by_polars = (eval(line.replace("data/out/", ""), modules) for line in lines)
    assert len(by_duckdb) > 1
    assert by_pandas.to_dict() == pytest.approx(by_duckdb)
    assert dict(by_polars.iter_rows()) == pytest.approx(by_duckdb)


def test_the_table_of_the_benchmark_is_that_of_its_figures() -> None:
    page = text_of(ROOT / "docs" / "speed.md")
    [text] = re.findall("<!-- bench -->\n(.*?)<!-- /bench -->", page, re.DOTALL)
    table = text.splitlines()[2:]
    scales = json.loads(text_of(ROOT / "benchmarks" / "results.json"))["scales"]
    assert len(table) == len(scales) > 0
    for row, (scale, figures) in zip(table, scales.items(), strict=True):
        ratios = (figures["build_to_polars"], figures["sql_to_bare_scan"])
        assert row.startswith(f"| {scale} |")
        for ratio in ratios:
            assert f"| {ratio:.1f} |" in row


def test_the_pages_list_every_parameter_and_limit_with_its_default() -> None:
    rows = {
        (flag, variable): cells
        for page in ("parameters.md", "operating.md")
        for line in text_of(ROOT / "docs" / page).splitlines()
        for cells in [[cell.strip(" `") for cell in line.split("|")]]
        if len(cells) > 5
        for flag, variable in [(cells[2], cells[3])]
    }
    for parameter in PARAMETERS:
        cells = rows[parameter.flag, parameter.name]
        if parameter.default and not parameter.is_switch:
            assert cells[4] == parameter.default, parameter.name
    for limit in RESOURCES:
        cells = rows[limit.flag, limit.variable]
        assert not limit.default or cells[4] == limit.default, limit.name


@pytest.mark.parametrize("path", [ENGLISH, SPANISH, *PAGES], ids=lambda path: path.name)
def test_what_a_page_names_exists(path: Path) -> None:
    text = text_of(path)
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.M))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.M)) <= targets
    called = re.findall(r"(?:^    |`)(?:\.venv/bin/)?value-props ([a-z]+)", text, re.M)
    assert set(called) <= set(cli.commands)
    code = "".join(
        text_of(file) for file in [*ROOT.glob("value_props/**/*.py"), *ROOT.glob("profiles/*.yml")]
    )
    for variable in set(re.findall(r"\bVALUE_PROPS_[A-Z_]+\b", text)):
        assert variable in code or variable == "VALUE_PROPS_TORTURE", variable
    for name in names(text):
        is_path = re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", name) and "/" in name
        if is_path and not name.startswith(MADE_LATER):
            assert (ROOT / name).exists(), name


def test_the_settings_of_airflow_are_those_of_its_dag() -> None:
    folder = ROOT / "orchestration" / "airflow"
    table = re.findall(r"^\| (`.*?`) \|", text_of(folder / "README.md"), re.M)
    told = {name for row in table for name in names(row) if name.startswith("VALUE_PROPS_")}
    code = text_of(folder / "dags" / "value_props_job.py")
    assert told == set(re.findall(r'environ(?:\.get\(|, )"(VALUE_PROPS_[A-Z_]+)"', code))


def test_the_picture_is_small() -> None:
    assert (ROOT / "docs" / "report.png").stat().st_size < 150_000
