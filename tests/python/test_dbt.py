"""Plain dbt from the repository's root, as analytics engineers run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[2]
CLEAN = ROOT / "tests" / "fixtures" / "clean"

# dbt asks its JSON schemas for deprecations of four adapters only; here of DuckDB's as well.
RUN_DBT = """
import sys
from dbt.jsonschemas import jsonschemas
jsonschemas._JSONSCHEMA_SUPPORTED_ADAPTERS.add("duckdb")
from dbt.cli.main import dbtRunner
outcome = dbtRunner().invoke(sys.argv[1:])
if outcome.exception:
    raise outcome.exception
sys.exit(not outcome.success)
"""


def dbt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run dbt in a process of its own, with what it writes in a folder."""
    return subprocess.run(
        [
            *(sys.executable, "-c", RUN_DBT, *arguments),
            *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
            *("--vars", json.dumps({"raw_path": str(CLEAN), "run_date": "2020-12-01"})),
            *("--show-all-deprecations", "--no-use-colors"),
            *("--warn-error-options", '{"error": ["Deprecations"]}'),
        ],
        cwd=ROOT,
        env={**os.environ, "VALUE_PROPS_DEV_DB": str(folder / "dev.duckdb")},
        capture_output=True,
        errors="replace",
        check=False,
        encoding="utf-8",
    )


def test_an_empty_build_makes_every_table_without_a_row(tmp_path: Path) -> None:
    assert dbt(tmp_path, "seed").returncode == 0
    answer = dbt(tmp_path, "run", "--empty")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    with duckdb.connect(str(tmp_path / "dev.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from marts.fct_prints").fetchall() == [(0,)]
        assert connection.execute("select count(*) from staging.base_prints").fetchall() != [(0,)]


def test_what_dbt_keeps_outlives_its_target_folder_and_says_how_to_make_it_again(
    tmp_path: Path,
) -> None:
    assert dbt(tmp_path, "run", "--select", "+assert_valid_rows_are_in_range").returncode == 0
    shutil.rmtree(tmp_path / "target")
    tested = ("test", "--select", "assert_valid_rows_are_in_range")
    assert dbt(tmp_path, *tested).returncode == 0
    shutil.rmtree(tmp_path / "dev.duckdb.parsed")
    answer = dbt(tmp_path, *tested)
    assert answer.returncode == 1
    assert "3 of 3 parsed raw files that the views read are gone" in answer.stderr
    assert "run `dbt build`" in answer.stderr
    assert dbt(tmp_path, "run", "--select", "+assert_valid_rows_are_in_range").returncode == 0
    assert dbt(tmp_path, *tested).returncode == 0


def test_dbt_build_passes_without_deprecations_and_is_small(tmp_path: Path) -> None:
    answer = dbt(tmp_path, "build")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    results = json.loads((tmp_path / "target" / "run_results.json").read_text(encoding="utf-8"))[
        "results"
    ]
    assert {result["status"] for result in results} == {"success", "pass", "no-op"}
    kinds = Counter(result["unique_id"].partition(".")[0] for result in results)
    # `value-props build` leaves the unit tests out.
    assert kinds["unit_test"] >= 8
    # Each node costs dbt some 0.06 s.
    assert len(results) <= 80
