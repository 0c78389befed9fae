"""The READMEs are true: what they name exists, and both languages name the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.harness import ROOT

from value_props.cli.program import cli

ENGLISH, SPANISH = ROOT / "README.md", ROOT / "README.es.md"


def first_screen(path: Path) -> str:
    """What stands before the second heading."""
    return path.read_text(encoding="utf-8").partition("\n## ")[0]


def section(path: Path, heading: str) -> str:
    """What stands below a heading."""
    return path.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def commands(text: str) -> set[str]:
    """The indented command lines, without their comments."""
    lines = re.findall(r"^    (\S.*)$", text, re.M)
    return {line.partition("#")[0].strip() for line in lines}


def names(text: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`]+)`", text))


def test_both_readmes_name_the_same_commands_and_files() -> None:
    english, spanish = first_screen(ENGLISH), first_screen(SPANISH)
    assert commands(english) == commands(spanish) != set()
    assert names(english) == names(spanish) != set()
    images = re.findall(r"\]\(([^)]+\.png)\)", english)
    assert images == re.findall(r"\]\(([^)]+\.png)\)", spanish) != []


@pytest.mark.parametrize(
    ("english_heading", "spanish_heading"),
    [
        ("Raw data", "Datos crudos"),
        ("Parameters", "Parámetros"),
        ("Training sets", "Conjuntos de entrenamiento"),
        ("Ranking", "Ordenar el carrusel"),
        ("Buckets", "Buckets"),
        ("On a schedule", "Cada lunes"),
        ("Notifications", "Notificaciones"),
        ("How fast", "Rendimiento"),
        ("In a container", "En un contenedor"),
        ("On Spark", "En Spark"),
        ("Query it, change it", "Consultarlo y cambiarlo"),
    ],
)
def test_both_readmes_tell_the_same_below_a_heading(
    english_heading: str, spanish_heading: str
) -> None:
    english, spanish = section(ENGLISH, english_heading), section(SPANISH, spanish_heading)
    assert commands(english) == commands(spanish)
    assert names(english) == names(spanish) != set()


def test_both_readmes_have_the_same_number_of_headings() -> None:
    """A section added to one README must be added to the other and to the list above."""
    counts = {path.read_text(encoding="utf-8").count("\n## ") for path in (ENGLISH, SPANISH)}
    assert counts == {11}


def test_the_table_of_the_benchmark_is_that_of_its_figures() -> None:
    [text] = re.findall(
        "<!-- bench -->\n(.*?)<!-- /bench -->", ENGLISH.read_text(encoding="utf-8"), re.DOTALL
    )
    table = text.splitlines()[2:]
    scales = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))[
        "scales"
    ]
    assert len(table) == len(scales) > 0
    for row, (scale, figures) in zip(table, scales.items(), strict=True):
        ratios = (figures["build_to_polars"], figures["sql_to_bare_scan"])
        assert row.startswith(f"| {scale} |")
        for ratio in ratios:
            assert f"| {ratio:.1f} |" in row


@pytest.mark.parametrize("path", [ENGLISH, SPANISH], ids=["english", "spanish"])
def test_what_a_readme_names_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.M)) <= targets
    assert set(re.findall(r"(?:^    |`)value-props ([a-z]+)", text, re.M)) <= set(cli.commands)
    code = "".join(
        file.read_text(encoding="utf-8")
        for file in [*ROOT.glob("value_props/**/*.py"), *ROOT.glob("profiles/*.yml")]
    )
    for variable in set(re.findall(r"\bVALUE_PROPS_[A-Z_]+\b", text)):
        assert variable in code, variable
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link
    for name in names(text):
        is_path = re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", name) and "/" in name
        if is_path and not name.startswith(("data/", "target/")):
            assert (ROOT / name).exists(), name


def test_the_settings_of_airflow_are_those_of_its_dag() -> None:
    folder = ROOT / "orchestration" / "airflow"
    table = re.findall(r"^\| (`.*?`) \|", (folder / "README.md").read_text(encoding="utf-8"), re.M)
    told = {name for row in table for name in names(row) if name.startswith("VALUE_PROPS_")}
    code = (folder / "dags" / "value_props_job.py").read_text(encoding="utf-8")
    assert told == set(re.findall(r'environ(?:\.get\(|, )"(VALUE_PROPS_[A-Z_]+)"', code))


def test_the_picture_is_small() -> None:
    assert (ROOT / "docs" / "report.png").stat().st_size < 150_000
