"""The stand-ins in packages/ hold what the project calls of the dbt packages, and no more."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from support.harness import ROOT, Pipeline, files_of_project

PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/dbt_project.yml"))
# A file holds one macro, and is named after it.
FILES = {
    f"{path.relative_to(ROOT).parts[1]}.{path.stem}": path
    for path in ROOT.glob("packages/*/macros/*/*.sql")
}
CALL = re.compile(rf"\b((?:{'|'.join(PACKAGES)})\.\w+)")
SIGNATURE = re.compile(r"{% test \w+\((.*?)\)", re.DOTALL)
# What dbt itself hands to a data test.
GIVEN = {"model", "column_name"}


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Each package macro that the parsed project calls, and the arguments that its tests pass."""
    manifest = Pipeline(tmp_path_factory.mktemp("packages")).dbt.manifest
    found: defaultdict[str, set[str]] = defaultdict(set)
    for node in (*manifest.nodes.values(), *manifest.macros.values()):
        for macro in node.depends_on.macros if node.package_name == "value_props" else ():
            _, package, name = macro.split(".")
            if package in PACKAGES:
                test = getattr(node, "test_metadata", None)
                passed = found[f"{package}.{name.removeprefix('test_')}"]
                passed |= set(test.kwargs) if test else set()
    return found


def _with_what_they_call(rules: set[str]) -> set[str]:
    """The stand-ins of these rules, and those that they call, directly or not."""
    seen: set[str] = set()
    waiting = [*rules]
    while waiting:
        rule = waiting.pop()
        if rule in FILES and rule not in seen:
            seen.add(rule)
            waiting += CALL.findall(FILES[rule].read_text(encoding="utf-8"))
    return seen


def test_every_package_macro_that_is_called_has_a_stand_in(calls: dict[str, set[str]]) -> None:
    # Where the stand-ins are installed, dbt parses a call of what they lack as if it were no call.
    named = {
        rule
        for path in files_of_project("*.sql", "*.yml")
        if "packages" not in path.relative_to(ROOT).parts
        for rule in CALL.findall(path.read_text(encoding="utf-8"))
    }
    assert len(calls) > 5
    assert sorted((named | calls.keys()) - FILES.keys()) == [], "packages/ has no stand-in of these"


def test_every_stand_in_is_called(calls: dict[str, set[str]]) -> None:
    unused = FILES.keys() - _with_what_they_call(set(calls))
    paths = sorted(str(FILES[rule].relative_to(ROOT)) for rule in unused)
    assert paths == [], "nothing calls these: delete them, and their cases"


def test_every_argument_of_a_stand_in_is_passed(calls: dict[str, set[str]]) -> None:
    unused = []
    for rule, path in FILES.items():
        if signature := SIGNATURE.search(path.read_text(encoding="utf-8")):
            taken = {part.partition("=")[0].strip() for part in signature[1].split(",")}
            unused += [f"{rule}: {name}" for name in sorted(taken - calls.get(rule, set()) - GIVEN)]
    assert unused == [], "no test of the project passes these: delete them, and their cases"
