"""Check the verdicts of data tests and macros on small tables, in a temporary dbt project."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner


@dataclass(frozen=True)
class Case:
    """One call of a rule, and the result that dbt must report.

    Args:
        rule: name of a data test, or of a macro of a package.
        label: what the case tests, as the last part of its name.
        failures: number of rows that the test must find; None if dbt must stop with an error.
        target: table, or column ("table.column"), to which the data test is applied.
        arguments: arguments of the call.
        where: condition in the config of the test.
        sql: a singular test that calls a macro, because YAML can only call data tests.
        says: texts that the message of dbt must contain.
    """

    rule: str
    label: str
    failures: int | None
    target: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)
    where: str = ""
    sql: str = ""
    says: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the test in the project."""
        verdict = {None: "refuses", 0: "passes"}.get(self.failures, "fails")
        return f"{self.rule.replace('.', '__')}__{verdict}_{self.label}"

    @property
    def table(self) -> str:
        return self.target.partition(".")[0]

    @property
    def column(self) -> str:
        return self.target.partition(".")[2]


@dataclass(frozen=True)
class Outcome:
    """The result of a case: the status, the number of failing rows and the message of dbt."""

    status: str
    failures: int | None
    message: str


def verdicts(
    folder: Path,
    cases: Iterable[Case],
    tables: Mapping[str, str],
    packages: Iterable[Path] = (),
    macros: Iterable[Path] = (),
) -> dict[str, Outcome]:
    """Build a project in which each table is a model and each case a data test.

    Args:
        folder: empty folder for the project.
        cases: cases to run.
        tables: SQL of each table, by name.
        packages: folders of dbt packages to link into the project.
        macros: folders of macros to use.

    Returns:
        The outcome of each case, by the name of the case.
    """
    cases = list(cases)
    for name in ("models", "tests", "dbt_packages"):
        (folder / name).mkdir()
    for package in packages:
        (folder / "dbt_packages" / package.name).symlink_to(package.resolve())
    output = {"type": "duckdb", "path": str(folder / "verdicts.duckdb"), "threads": 1}
    called = [case for case in cases if not case.sql and case.failures is not None]
    # The files are written as JSON, which is also valid YAML.
    files: dict[str, object] = {
        "dbt_project.yml": {
            "name": "verdicts",
            "profile": "verdicts",
            "macro-paths": [str(path) for path in macros],
            "vars": {"dbt_date:time_zone": "UTC"},
            "flags": {"require_generic_test_arguments_property": True},
        },
        "profiles.yml": {"verdicts": {"target": "file", "outputs": {"file": output}}},
        "models/_models.yml": {"models": [_properties(table, called) for table in tables]},
    }
    texts = {name: json.dumps(content) for name, content in files.items()}
    texts |= {f"models/{table}.sql": sql for table, sql in tables.items()}
    texts |= {
        f"tests/{case.name}.sql": case.sql or _refused_call(case)
        for case in cases
        if case not in called
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")

    where = ["--project-dir", str(folder), "--profiles-dir", str(folder)]
    silence = ["--quiet", "--log-level", "none", "--log-level-file", "none"]
    result = (
        dbtRunner()
        .invoke(["build", *where, *silence, "--no-write-json", "--no-partial-parse"])
        .result
    )
    assert isinstance(result, RunExecutionResult), "dbt ran no case"
    return {
        run.node.name: Outcome(str(run.status), run.failures, run.message or "") for run in result
    }


def hold(case: Case, outcomes: Mapping[str, Outcome]) -> None:
    """Assert that the outcome of a case is the expected one."""
    outcome = outcomes[case.name]
    status = {None: "error", 0: "pass"}.get(case.failures, "fail")
    assert (outcome.status, outcome.failures) == (status, case.failures), outcome.message
    for text in case.says:
        assert text in outcome.message


def _properties(table: str, cases: Iterable[Case]) -> dict[str, object]:
    of_columns: dict[str, list[object]] = {"": []}
    for case in cases:
        if case.table == table:
            config = {"config": {"where": case.where}} if case.where else {}
            called = {"name": case.name, "arguments": case.arguments, **config}
            of_columns.setdefault(case.column, []).append({case.rule: called})
    of_table = of_columns.pop("")
    columns = [{"name": name, "data_tests": tests} for name, tests in of_columns.items()]
    return {"name": table, "data_tests": of_table, "columns": columns}


def _refused_call(case: Case) -> str:
    """Return a singular test that calls the macro of a data test only at run time.

    From YAML, a wrong argument would stop dbt while it parses, so a project could have only one
    such case.
    """
    package, _, test = case.rule.rpartition(".")
    relation = f"ref('{case.table}')"
    if case.where:
        relation = f"'(select * from ' ~ {relation} ~ ' where {case.where}) as filtered'"
    column = f"column_name='{case.column}', " if case.column else ""
    return (
        f"{{% set arguments %}}{json.dumps(case.arguments)}{{% endset %}}"
        f"{{% set model = {relation} %}}"
        f"{{% if execute %}}{{{{ {package}{'.' if package else ''}test_{test}("
        f"model=model, {column}**fromjson(arguments)) }}}}{{% endif %}}"
    )
