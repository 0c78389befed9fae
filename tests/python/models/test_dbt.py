"""Plain dbt from the repository's root, as analytics engineers run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from support.harness import CLEAN, ROOT

# dbt asks its JSON schemas for deprecations of four adapters only; here of DuckDB's as well.
RUN_DBT = """
import sys
from dbt.jsonschemas import jsonschemas
jsonschemas._JSONSCHEMA_SUPPORTED_ADAPTERS.add("duckdb")
from dbt.cli.main import dbtRunner
common = sys.argv[sys.argv.index("--target-path"):]
success = True
for command in " ".join(sys.argv[1:-len(common)]).split(" ; "):
    outcome = dbtRunner().invoke([*command.split(), *common])
    if outcome.exception:
        raise outcome.exception
    success = success and outcome.success
sys.exit(not success)
"""


def dbt(folder: Path, *arguments: str, raw: Path = CLEAN) -> subprocess.CompletedProcess[str]:
    """Run dbt in a process of its own, with what it writes in a folder.

    Args:
        folder: for the database, the artifacts and the log.
        arguments: of one command, or of several with `;` between them.
        raw: folder of the raw files.
    """
    return subprocess.run(
        [
            *(sys.executable, "-c", RUN_DBT, *arguments),
            *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
            *("--vars", json.dumps({"raw_path": str(raw), "run_date": "2020-12-01"})),
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


def artifact(folder: Path, name: str) -> dict[str, Any]:
    """What the last command wrote to a file of the target folder."""
    text = (folder / "target" / f"{name}.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


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
    results = artifact(tmp_path, "run_results")["results"]
    assert {result["status"] for result in results} == {"success", "pass"}
    kinds = Counter(result["unique_id"].partition(".")[0] for result in results)
    # `value-props build` leaves the unit tests out.
    assert kinds["unit_test"] == len(artifact(tmp_path, "manifest")["unit_tests"]) > 0
    # Each node costs dbt some 0.06 s.
    assert len(results) - kinds["operation"] <= 81


def parsed_files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "dev.duckdb.parsed").rglob("*.parquet")}


def test_only_what_builds_reads_raw_files(raw: Path, tmp_path: Path) -> None:
    assert dbt(tmp_path, "run", "--select", "+int_run_window", "raw_files", raw=raw).returncode == 0
    before = parsed_files(tmp_path)
    assert len(before) == 6
    more = '{"day":"2020-11-29","event_data":{"position":0,"value_prop":"point"},"user_id":1}\n'
    (raw / "prints_2.json").write_text(more, encoding="utf-8")
    tested = "assert_raw_files_are_unchanged"
    reading = f"ls ; compile ; test --select {tested} ; docs generate ; source freshness ; seed"
    answer = dbt(tmp_path, *reading.split(), raw=raw)
    assert answer.returncode == 0, answer.stdout
    assert parsed_files(tmp_path) == before
    assert dbt(tmp_path, "run", "--select", "+int_run_window", "raw_files", raw=raw).returncode == 0
    assert len(parsed_files(tmp_path)) == 8
    catalog, manifest = artifact(tmp_path, "catalog"), artifact(tmp_path, "manifest")
    # Only `value-props build` knows the features that earlier runs published.
    unknown = {"source.value_props.published.features"}
    assert catalog["sources"].keys() == manifest["sources"].keys() - unknown


def test_freshness_is_measured_against_the_cut_off(raw: Path, tmp_path: Path) -> None:
    taps = (raw / "taps.json").read_text(encoding="utf-8").splitlines()
    found = {}
    # The cut-off is a Monday, and the report ends on the Sunday before it.
    for last_day in ("2020-11-30", "2020-11-29", "2020-11-28"):
        kept = [line for line in taps if line[8:18] <= last_day]
        last = kept[-1].replace(kept[-1][8:18], last_day)
        (raw / "taps.json").write_text("\n".join([*kept, last]), encoding="utf-8")
        dbt(tmp_path, *["run", "--select", "+int_run_window", ";", "source", "freshness"], raw=raw)
        found[last_day] = {
            result["unique_id"].rpartition(".")[2]: result["status"]
            for result in artifact(tmp_path, "sources")["results"]
        }
    others = {"prints": "pass", "pays": "pass"}
    assert found == {
        "2020-11-30": {**others, "taps": "pass"},
        "2020-11-29": {**others, "taps": "warn"},
        "2020-11-28": {**others, "taps": "error"},
    }


def test_where_raw_files_cannot_be_read_no_model_is_built_over_old_rows(tmp_path: Path) -> None:
    assert dbt(tmp_path, "build").returncode == 0
    answer = dbt(tmp_path, "build", raw=tmp_path / "nowhere")
    assert answer.returncode == 1
    assert f"Raw path {tmp_path / 'nowhere'}: there is no such folder" in answer.stdout
    statuses = Counter(result["status"] for result in artifact(tmp_path, "run_results")["results"])
    assert set(statuses) == {"error", "skipped"}
    assert statuses["error"] == 1
