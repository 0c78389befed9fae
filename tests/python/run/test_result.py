"""What a passed run leaves in its out path, and that its bytes depend on nothing else."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from support.harness import (
    CLEAN,
    ROOT,
    RUN_DATE,
    build,
    contents,
    manifest_of,
    published_rows,
    sha256,
    value_props,
)
from support.reference import MartRow, Parameters, compute

from value_props import database
from value_props.publish.out_path import REPORT


@pytest.fixture(scope="module")
def expected() -> list[MartRow]:
    """The mart of the clean fixture, as the reference computes it."""
    return compute(CLEAN, Parameters(run_date=datetime.date.fromisoformat(RUN_DATE))).mart


def test_the_published_file_opens_in_the_oldest_duckdb_that_the_readme_names(
    published: Path,
) -> None:
    [(tags,)] = published_rows(
        published, "select tags from duckdb_databases() where database_name = 'value_props'"
    )
    oldest = tags["storage_version"].removeprefix("v").rpartition(".")[0]
    for name in ("README.md", "README.es.md"):
        assert f"DuckDB {oldest}" in (ROOT / name).read_text(encoding="utf-8")


def test_published_files_hold_the_mart_of_the_reference(
    published: Path, expected: list[MartRow]
) -> None:
    assert expected
    query = "select * from read_parquet(?, hive_partitioning = false)"
    assert duckdb.execute(query, [str(published / "final.parquet")]).fetchall() == expected
    csv_text = (published / "final.csv").read_bytes().decode()
    cells = [
        ",".join(str(value).lower() if isinstance(value, bool) else str(value) for value in row)
        for row in expected
    ]
    assert csv_text.split("\n")[1:] == [*cells, ""]


def test_report_prints_what_a_run_recorded(published: Path) -> None:
    [record] = (published / "quality").iterdir()
    report = json.loads((record / "report.json").read_text(encoding="utf-8"))
    for arguments in ((), (record.name,)):
        answer = value_props("report", *arguments, "--out", published)
        assert json.loads(answer.stdout) == report
    answer = value_props("report", "no-run", "--out", published, exit_code=2)
    assert "there is no report of run no-run" in answer.text


def test_published_files_are_read_only_and_described(published: Path) -> None:
    for name in REPORT.stable_names:
        assert (published / name).stat().st_mode & 0o777 == 0o444
    manifest = manifest_of(published)
    for output in manifest["outputs"]:
        assert contents(published)[output["name"]] == output["sha256"]
    for row in manifest["inputs"]:
        assert row["rows_read"] == row["rows_kept"] + row["rows_quarantined"]
        assert row["sha256"] == sha256(Path(row["path"]))
    assert manifest["parameters"]["as_of_date"] == "2020-11-30"
    assert manifest["report_weeks"][0]["iso_week"] == "2020-W48"
    faulty = published_rows(
        published,
        "select schema_name, table_name, column_name, comment from ("
        " select schema_name, table_name, column_name, comment from duckdb_columns()"
        " union all select schema_name, table_name, null, comment from duckdb_tables())"
        " where schema_name in ('marts', 'quality')"
        r" and (comment is null or regexp_matches(comment, '^\s|\s$|^$'))",
    )
    assert faulty == []


@pytest.mark.parametrize("view", ["stg_prints", "stg_taps", "stg_pays"])
def test_the_planner_expects_all_valid_rows(published: Path, view: str) -> None:
    """Where it expects a tenth of them, it builds its hash tables of the larger side."""
    [(count,)] = published_rows(published, f"select count(*) from staging.{view}")
    [(_, plan)] = published_rows(
        published, f"explain (format json) select user_id from staging.{view}"
    )
    [root] = json.loads(plan)
    assert int(root["extra_info"]["Estimated Cardinality"]) == count > 20


def test_published_file_holds_the_history_up_to_its_own_run(
    published: Path, expected: list[MartRow]
) -> None:
    runs = published_rows(published, "select status, as_of_date from quality.runs")
    assert runs == [("published", datetime.date(2020, 11, 30))]
    profiles = published_rows(
        published,
        "select row_count, total_prior_amount, share_by_value_prop from quality.mart_profiles",
    )
    counts = Counter(row[5] for row in expected)
    shares = {name: counts[name] / len(expected) for name in sorted(counts)}
    assert profiles == [(len(expected), sum(row[11] for row in expected), shares)]
    sources = published_rows(
        published, "select source_name, rows_kept, distinct_users from quality.source_profiles"
    )
    assert sources == [("pays", 756, 100), ("prints", 509, 61), ("taps", 51, 25)]
    [(tests,)] = published_rows(published, "select count(*) from quality.test_results")
    assert tests == sum(manifest_of(published)["tests"].values())


def test_same_input_gives_the_same_bytes(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE_PROPS_THREADS", "1")
    build(tmp_path / "out")
    for name in ("final.csv", "final.parquet"):
        assert contents(tmp_path / "out")[name] == contents(published)[name]


def test_mart_and_export_give_the_same_bytes_with_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As dbt fills a table that has a contract: of rows in order, with the key made of them.
    fill_mart = """
        create schema marts;
        create table marts.fct_prints (
            print_id varchar, print_date date, user_id ubigint, value_prop varchar, position bigint
        );
        insert into marts.fct_prints (
            select print_id, print_date, user_id, value_prop, position from (
                select md5(concat_ws('-', print_date, user_id, value_prop, position)) as print_id, *
                from (
                    select
                        date '2020-11-23' + cast(i % 7 as integer) as print_date,
                        hash(i) % 50000 as user_id,
                        'value prop ' || i % 11 as value_prop,
                        i as position
                    from range(400000) as numbers (i)
                    order by print_date, user_id, position, value_prop
                )
            )
        )
    """
    written = set()
    for threads in (1, 2, 5):
        monkeypatch.setenv("VALUE_PROPS_THREADS", str(threads))
        folder = tmp_path / str(threads)
        folder.mkdir()
        source = tmp_path / f"{threads}.duckdb"
        with database.opened(source) as connection:
            connection.execute(fill_mart)
        database.export(source, folder)
        written.add(tuple(sha256(path) for path in sorted(folder.iterdir())))
    assert len(written) == 1
