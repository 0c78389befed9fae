"""Runs with serving_features: what they publish, compare and report."""

from __future__ import annotations

import datetime
import errno
import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.harness import CLEAN, build, contents, manifest_of, published_rows, sha256, value_props
from support.s3_server import BUCKET, S3Server

from value_props.publish.bucket import Bucket
from value_props.publish.out_path import FEATURES, MANIFEST
from value_props.publish.places import CACHE
from value_props.run import build as job

SERVING = ("--serving-features", "--make-current")
LATE_DAY = "2020-11-20"


@pytest.fixture(scope="module")
def two_weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An out path with 2020-W47 and then 2020-W48, both with features. Tests must not change it."""
    out = tmp_path_factory.mktemp("two_weeks") / "out"
    build(out, *SERVING, "--as-of", "2020-11-22", "--allow-incomplete")
    build(out, *SERVING)
    return out


@pytest.fixture
def served(two_weeks: Path, tmp_path: Path) -> Path:
    """A copy of `two_weeks`. Tests may change it."""
    copy = tmp_path / "out"
    shutil.copytree(two_weeks, copy, symlinks=True)
    return copy


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    return duckdb.read_parquet(str(path), hive_partitioning=False).fetchall()


def late_payments(out: Path, folder: Path) -> Path:
    """Return a copy of the raw files with a late payment for each of three prints of the mart."""
    shutil.copytree(CLEAN, folder)
    served = published_rows(out, "select distinct user_id, value_prop from marts.fct_prints")[:3]
    lines = [f"{LATE_DAY},3.50,{user_id},{value_prop}\n" for user_id, value_prop in served]
    header = "pay_date,total,user_id,value_prop\n"
    (folder / "pays_late.csv").write_text(header + "".join(lines), encoding="utf-8")
    return folder


def report_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(value_props("report", "--out", out, exit_code=0).stdout)
    return found


def test_features_are_published_with_the_set(two_weeks: Path) -> None:
    rows = rows_of(two_weeks / FEATURES)
    assert rows == published_rows(two_weeks, "from marts.fct_user_features")
    assert rows == sorted(rows)
    assert {row[0] for row in rows} == {datetime.date(2020, 11, 30)}
    manifest = manifest_of(two_weeks)
    assert manifest["parameters"]["serving_features"] is True
    assert manifest["window"]["feature_date"] == "2020-11-30"
    assert manifest["rows_in_features"] == len(rows)
    [listed] = [output for output in manifest["outputs"] if output["name"] == FEATURES]
    assert listed["sha256"] == sha256(two_weeks / FEATURES)
    assert report_of(two_weeks)["rows_in_features"] == len(rows)
    assert f"value_props_feature_rows {len(rows)}" in (two_weeks / "metrics.prom").read_text(
        "utf-8"
    )
    page = (two_weeks / "report.html").read_text("utf-8")
    assert "Features for ranking from 2020-11-30 on" in page
    assert "prior_amount, share of rows" in page


def test_the_same_rows_give_the_same_bytes_and_no_skew(two_weeks: Path, tmp_path: Path) -> None:
    answer = build(tmp_path / "out", *SERVING, "--threads", "1")
    assert "Features: " in answer.stdout
    assert sha256(tmp_path / "out" / FEATURES) == sha256(two_weeks / FEATURES)
    skew = published_rows(two_weeks, "from quality.feature_skew")
    assert sum(row[3] for row in skew) == manifest_of(two_weeks)["rows_in_mart"]
    assert sum(row[4] for row in skew) == 0


def test_features_of_last_week_equal_the_mart(two_weeks: Path) -> None:
    last_week = min((two_weeks / "runs").iterdir()) / FEATURES
    differing = """
        select count(*) from mart left join served using (user_id, value_prop)
        where (mart.prior_views, mart.prior_clicks, mart.prior_payments, mart.prior_amount) <> (
            coalesce(served.prior_views, 0), coalesce(served.prior_clicks, 0),
            coalesce(served.prior_payments, 0), coalesce(served.prior_amount, 0)
        )
    """
    with duckdb.connect() as connection:
        for name, path in (("mart", two_weeks / "final.parquet"), ("served", last_week)):
            connection.read_parquet(str(path), hive_partitioning=False).create_view(name)
        assert connection.execute(differing).fetchall() == [(0,)]


def test_without_the_switch_nothing_is_built_or_linked(served: Path) -> None:
    answer = build(served, "--make-current")
    assert "The run before published features.parquet, and this one does not." in answer.text
    assert not (served / FEATURES).is_symlink()
    assert not (served / "current" / FEATURES).exists()
    assert manifest_of(served)["rows_in_features"] is None
    tables = "select table_name from duckdb_tables() where table_name like '%feature%'"
    assert published_rows(served, tables) == []
    assert "feature_rows" not in (served / "metrics.prom").read_text("utf-8")
    assert "for ranking" not in (served / "report.html").read_text("utf-8")
    value_props("rollback", "--out", served, exit_code=0)
    assert (served / FEATURES).is_file()
    value_props("verify", "--out", served, exit_code=0)


def test_a_changed_file_of_features_is_found(served: Path) -> None:
    path = (served / FEATURES).resolve()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert f"{FEATURES} has changed" in value_props("verify", "--out", served, exit_code=1).text


def test_late_data_is_a_warning_with_counts(served: Path, tmp_path: Path) -> None:
    raw = late_payments(served, tmp_path / "raw")
    answer = build(served, *SERVING, raw=raw)
    first_run = min((served / "runs").iterdir()).name
    skew = published_rows(
        served,
        "select value_prop, skewed_prints, missed_payments, missed_amount"
        " from quality.feature_skew where skewed_prints > 0 order by value_prop",
    )
    assert sum(row[2] for row in skew) == sum(row[1] for row in skew) > 0
    assert sum(row[3] for row in skew) == sum(row[1] for row in skew) * 3.5
    expected = f"Skew by late data: {sum(row[1] for row in skew)} of 120 prints have other features"
    assert f"{expected} than those that run {first_run} published for 2020-11-23" in answer.text
    assert all(f"{row[0]} {row[1]} of " in answer.text for row in skew)
    report = report_of(served)
    assert [row for row in report["warnings"] if row.startswith(expected)]
    assert {row["value_prop"]: row["skewed_prints"] for row in report["feature_skew"]}.items() >= {
        row[:2] for row in skew
    }
    assert "Prints that differ" in (served / "report.html").read_text("utf-8")
    metric = f"value_props_feature_skewed_prints {sum(row[1] for row in skew)}"
    assert metric in (served / "metrics.prom").read_text("utf-8")
    status = "select status from quality.test_results where test_name ="
    assert published_rows(
        served, f"{status} 'assert_mart_agrees_with_served_features' order by run_id"
    )[-1] == ("warn",)


@pytest.mark.parametrize("other", [("--lookback-weeks", "2"), ("--lookback-anchor", "print")])
def test_features_of_another_lookback_are_not_compared(
    served: Path, other: tuple[str, ...]
) -> None:
    build(served, *SERVING, *other)
    assert published_rows(served, "select count(*) from quality.feature_skew") == [(0,)]


def test_damaged_features_of_an_earlier_run_stop_no_run(
    served: Path,
) -> None:
    path = min((served / "runs").iterdir()) / FEATURES
    path.chmod(0o644)
    path.write_bytes(b"PAR1 and then nothing")
    answer = build(served, *SERVING)
    assert f"{path} is damaged, and is not compared with the mart" in answer.stderr
    assert published_rows(served, "select count(*) from quality.feature_skew") == [(0,)]


def test_a_failed_run_leaves_the_published_features(served: Path, raw: Path) -> None:
    before = sha256(served / FEATURES), contents(served)
    (raw / "taps.json").write_text("", encoding="utf-8")
    build(served, *SERVING, raw=raw, exit_code=1)
    assert (sha256(served / FEATURES), contents(served)) == before
    assert not (served / "last_run" / FEATURES).exists()


def test_a_run_that_cannot_be_published_leaves_no_features_in_last_run(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # By then the features are exported.
    monkeypatch.setattr(job, "write_manifest", full_disk)
    build(served, *SERVING, exit_code=4)
    assert (served / "last_run" / "value_props.duckdb").exists()
    assert not (served / "last_run" / FEATURES).exists()


def test_a_file_of_the_user_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / FEATURES).write_text("mine", encoding="utf-8")
    answer = build(out, *SERVING, exit_code=2)
    assert "a file is already there, and value-props did not write it" in answer.text
    build(out)
    value_props("verify", "--out", out, exit_code=0)
    assert (out / FEATURES).read_text("utf-8") == "mine"


def test_days_that_the_features_miss_are_a_warning(tmp_path: Path) -> None:
    answer = build(tmp_path / "out", *SERVING, "--lookback-weeks", "5")
    days = "of which the data covers fewer: pays 29, prints 29, taps 29."
    assert f"Warning: The features for 2020-11-30 look back over 35 days, {days}" in answer.text


def test_a_week_that_is_not_over_serves_no_features(tmp_path: Path) -> None:
    latest = ("--week-rule", "latest", "--as-of", "2020-11-25")
    answer = build(tmp_path / "out", *SERVING, *latest, exit_code=2)
    assert "serving_features needs a week that is over" in answer.text
    build(tmp_path / "out", *SERVING, *latest, "--lookback-anchor", "print")
    rows = rows_of(tmp_path / "out" / FEATURES)
    assert {row[0] for row in rows} == {datetime.date(2020, 11, 26)}


def test_a_machine_without_a_cache_compares_with_the_features_in_the_bucket(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    out = Bucket(f"s3://{BUCKET}/features")
    monkeypatch.setenv(CACHE, str(tmp_path / "first"))
    build(out.address, *SERVING, "--as-of", "2020-11-22", "--allow-incomplete")
    manifest = json.loads(out.read(MANIFEST))
    [listed] = [output for output in manifest["outputs"] if output["name"] == FEATURES]
    assert listed["path"] == f"runs/{manifest['run_id']}/{FEATURES}"
    value_props("verify", "--out", out.address, exit_code=0)

    monkeypatch.setenv(CACHE, str(tmp_path / "second"))
    build(out.address, *SERVING)
    skew = json.loads(value_props("report", "--out", out.address, exit_code=0).stdout)
    assert {row["run_id"] for row in skew["feature_skew"]} == {manifest["run_id"]}
    assert sum(row["prints"] for row in skew["feature_skew"]) == 120
