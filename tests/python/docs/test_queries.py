"""The answers in docs/queries.md are those that its queries give on its sample data.

After a change of the queries, the marts or the sample data, this command writes the answers anew:

    REWRITE_ANSWERS=1 .venv/bin/python -m pytest tests/python/docs/test_queries.py
"""

from __future__ import annotations

import ast
import datetime
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.harness import ROOT

from value_props.files import move, remove_tree

PAGE = ROOT / "docs" / "queries.md"
DATABASE = "data/out/value_props.duckdb"
# A block of code whose answer stands below it, as a table.
BLOCK = re.compile(r"^```(sql|python)\n(.*?)^```\n\n?((?:\|[^\n]*\n)*)\n?", re.M | re.S)
OLDEST = ROOT / "requirements-oldest-duckdb.txt"
# What a process with the oldest DuckDB does: answer queries, and say which version it is.
ASK = """
import json, sys, duckdb
database, *queries = sys.argv[1:]
tables = []
with duckdb.connect(database, read_only=True) as connection:
    for query in queries:
        result = connection.execute(query)
        tables.append([[column[0] for column in result.description], *result.fetchall()])
print(json.dumps({"version": duckdb.__version__, "tables": tables}, default=str))
"""


@dataclass(frozen=True)
class Question:
    """A block of code of the page.

    Args:
        language: sql or python.
        code: the text of the block.
        answer: the lines of the table below it, each with its line end.
    """

    language: str
    code: str
    answer: str


def questions(language: str) -> list[Question]:
    text = PAGE.read_text(encoding="utf-8")
    found = [Question(*parts) for parts in BLOCK.findall(text)]
    assert len(found) == len(re.findall("^```(?:sql|python)$", text, re.M))
    return [question for question in found if question.language == language]


def table_of(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as a Markdown table."""
    lines = [list(names), *([cell_of(value) for value in row] for row in rows)]
    head, *body = (f"| {' | '.join(line)} |\n" for line in lines)
    return "".join((head, "|---" * len(lines[0]) + "|\n", *body))


def cell_of(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, datetime.datetime):
        value = value.date()
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("|", "\\|")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the commands of the page ran."""
    [commands] = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    folder = tmp_path_factory.mktemp("queries")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let relative paths of the page begin in that folder."""
    monkeypatch.chdir(folder)


def answer_of(question: Question) -> str:
    """Run a block of code, and return its answer as a Markdown table."""
    if question.language == "python":
        return table_of(*frame_of(question.code))
    with duckdb.connect(DATABASE, read_only=True) as connection:
        result = connection.execute(question.code)
        return table_of([column[0] for column in result.description or []], result.fetchall())


def frame_of(code: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run Python code that ends with a data frame, and return its columns and rows."""
    *statements, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    scope: dict[str, Any] = {}
    exec(compile(ast.Module(statements, []), PAGE, "exec"), scope)
    frame = eval(compile(ast.Expression(last.value), PAGE, "eval"), scope)
    is_polars = type(frame).__module__.startswith("polars")
    rows = frame.rows() if is_polars else frame.itertuples(index=False, name=None)
    return list(frame.columns), list(rows)


def rewrite_answers() -> None:
    """Replace the table below each block of the page by its answer, between blank lines."""

    def answered(found: re.Match[str]) -> str:
        return f"```{found[1]}\n{found[2]}```\n\n{answer_of(Question(*found.groups()))}\n"

    text = BLOCK.sub(answered, PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


@pytest.mark.usefixtures("here")
def test_the_answers_are_those_of_the_queries() -> None:
    if "REWRITE_ANSWERS" in os.environ:
        rewrite_answers()
    asked = [*questions("sql"), *questions("python")]
    assert [answer_of(question) for question in asked] == [question.answer for question in asked]
    assert all(question.answer.count("\n") > 2 for question in asked)


def analysis(name: str) -> str:
    """Return the SQL of a dbt analysis over the published marts."""
    text = (ROOT / "analyses" / f"{name}.sql").read_text(encoding="utf-8")
    return re.sub(r"{{ ref\('(\w+)'\) }}", r"marts.\1", text)


def agrees(cell: str, value: Any) -> bool:
    """Return whether a cell of the page is this value, rounded to the decimals of the cell."""
    if isinstance(value, float):
        decimals = len(cell.partition(".")[2])
        return bool(abs(float(cell) - value) < 0.51 * 10**-decimals)
    return cell == cell_of(value)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("## 1.", "click_through_by_position"),
        ("## 2.", "week_over_week"),
        ("## 3.", "cold_start_users"),
        ("## 5.", "conversion_from_tap_to_payment"),
        ("And the last complete week", "amount_by_value_prop_and_week"),
    ],
)
def test_an_answer_agrees_with_the_analysis_that_the_page_names(heading: str, name: str) -> None:
    part = PAGE.read_text(encoding="utf-8").partition(f"\n{heading}")[2]
    assert f"analyses/{name}.sql" in part.partition("\n## ")[0]
    found = BLOCK.search(part)
    assert found
    head, _, *lines = (line[2:-2].split(" | ") for line in found[3].splitlines())
    with duckdb.connect(DATABASE, read_only=True) as connection:
        result = connection.execute(analysis(name))
        names = [column[0] for column in result.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    shared = [column for column in head if column in names]
    assert len(shared) >= 4
    for line in lines:
        cells = dict(zip(head, line, strict=True))
        assert any(all(agrees(cells[name], row[name]) for name in shared) for row in rows), line


def test_every_analysis_is_named() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert {path.stem for path in ROOT.glob("analyses/*.sql")} == set(
        re.findall(r"`analyses/(\w+)\.sql`", text)
    )


@pytest.fixture(scope="module")
def oldest() -> Path:
    """A folder with the oldest DuckDB that the README names. It stays for later runs."""
    version = oldest_version()
    installed = ROOT / "target" / f"duckdb-{version}-{sys.implementation.cache_tag}"
    if installed.exists():
        return installed
    draft = installed.with_name(f"{installed.name}.draft")
    remove_tree(draft)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    ran = subprocess.run(
        [*pip, "--no-deps", "--require-hashes", "--target", draft, "--requirement", OLDEST],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    move(draft, installed)
    return installed


def oldest_version() -> str:
    [version] = re.findall(r"^duckdb==(\S+)", OLDEST.read_text(encoding="utf-8"), re.M)
    return str(version)


@pytest.mark.usefixtures("here")
def test_the_oldest_duckdb_opens_the_published_file(oldest: Path) -> None:
    asked = questions("sql")
    answered = subprocess.run(
        [sys.executable, "-c", ASK, DATABASE, *(question.code for question in asked)],
        env={**os.environ, "PYTHONPATH": str(oldest)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    answer = json.loads(answered.stdout)
    assert answer["version"] == oldest_version()
    tables = [table_of(names, rows) for names, *rows in answer["tables"]]
    assert tables == [question.answer for question in asked]


def test_the_docs_name_the_oldest_duckdb() -> None:
    version = oldest_version()
    named = {
        path: re.findall(r"DuckDB (\d[\d.]*) (?:and|or) newer", path.read_text("utf-8"))
        for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    }
    assert named[PAGE] == [version]
    assert all(version.startswith(found) for each in named.values() for found in each)
