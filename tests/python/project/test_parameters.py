"""The command line and plain dbt allow the same values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dbt.cli.main import dbtRunner
from support.harness import ROOT

from value_props.errors import ValuePropsError
from value_props.parameters import check_parameters

VALUES = {
    "as_of_date": ["2020-11-15", "2020-02-30", "2020-1-5", "0000-01-01", "2019-02-29", "x"],
    "run_date": ["2024-02-29", "2023-02-29", "20201115"],
    "week_rule": ["latest", "Latest", "last"],
    "report_weeks": ["520", "521", "0", "-1", "1.5", "٣"],
    "lookback_weeks": ["104", "105", "1e1"],
    "lookback_anchor": ["print", "day"],
    "max_quarantine_rate": ["0.5", "1.0", "1.1", "-0.1", "1e-2", ".5"],
    "allow_incomplete": ["true", "yes", "On", "OFF", "0", "maybe", "2"],
}
CASES = [(name, value) for name, values in VALUES.items() for value in values]


def is_allowed_here(name: str, value: str) -> bool:
    try:
        check_parameters({name: value})
    except ValuePropsError:
        return False
    return True


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parameters")


def test_dbt_allows_what_the_command_line_allows(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE_PROPS_DEV_DB", str(target / "dev.duckdb"))
    common = ["--project-dir", str(ROOT), "--profiles-dir", str(ROOT / "profiles")]
    common += ["--target-path", str(target), "--log-path", str(target), "--log-level", "none"]
    parsed = dbtRunner().invoke(["parse", *common])
    assert parsed.success
    runner = dbtRunner(manifest=parsed.result)
    for name, value in CASES:
        answer = runner.invoke(
            ["compile", "--select", "run_parameters", *common, "--vars", json.dumps({name: value})]
        )
        assert answer.success == is_allowed_here(name, value), (name, value)
