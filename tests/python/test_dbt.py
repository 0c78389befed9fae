"""Plain dbt from the repository's root, as analytics engineers run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

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
