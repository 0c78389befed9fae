"""A backfill: each week of a span as a run of its own would publish it, in one pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import polars
import pytest
from support.harness import ROOT, RUN_DATE, Pipeline, manifest_of, sha256, value_props

from value_props import database
from value_props.cli.program import cli
from value_props.errors import ExitCode, ValuePropsError
from value_props.notify import metrics
from value_props.publish.out_path import BACKFILL, OutPath
from value_props.run import build
from value_props.run.backfill import parameters_of
from value_props.run.dbt import MODELS_ONLY, Dbt
from value_props.sample.raw_files import write_sample

FIRST, LAST = "2020-11-02", "2020-11-29"
MONDAYS = ("2020-11-02", "2020-11-09", "2020-11-16", "2020-11-23")
SUNDAYS = ("2020-11-08", "2020-11-15", "2020-11-22", "2020-11-29")
MART = (*MODELS_ONLY, "--select", "+fct_prints")
FIXED = {"run_date": RUN_DATE, "allow_incomplete": "true"}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Over sample data of 2020-11-01 to 2020-11-30."""
    pipeline = Pipeline(tmp_path_factory.mktemp("pipeline"))
    shutil.rmtree(pipeline.raw_path)
    write_sample(pipeline.raw_path, scale=0.005)
    return pipeline


@pytest.fixture(scope="module")
def published(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An out folder with a backfill of the four weeks; tests that write copy it."""
    out = tmp_path_factory.mktemp("published") / "out"
    answer = value_props(
        *("backfill", "--from", FIRST, "--to", LAST, "--raw", pipeline.raw_path, "--out", out),
        *("--run-date", RUN_DATE, "--allow-incomplete"),
        exit_code=0,
    )
    assert "2020-W45 to 2020-W48 (2020-11-02 to 2020-11-29)" in answer.stdout
    # The first three weeks are told, though accepted.
    assert "The lookback of 2020-W45 begins before the data does" in answer.stdout
    return out


@pytest.fixture
def _no_data_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(build, "DATA_ONLY", MODELS_ONLY)
    monkeypatch.setattr(Dbt, "refuse_left_out", lambda *_: None)
    # What is pushed is what the alert rules judge, of weekly builds.
    monkeypatch.setattr(metrics, "push", lambda *_: pytest.fail("a backfill pushed metrics"))


def week_path(folder: Path, monday: str) -> Path:
    return folder / BACKFILL.mart.replace("*", monday)


def contents(folder: Path) -> dict[str, str]:
    """The sha256 of every file that the stable names show."""
    weeks = (folder / "prints").glob("*/*.parquet")
    paths = [*weeks, *(folder / name for name in BACKFILL.stable_names[1:])]
    return {path.relative_to(folder).as_posix(): sha256(path) for path in paths}


def assert_weeks_are_those_of_single_runs(
    pipeline: Pipeline, weeks: Path, dbt_vars: dict[str, str], scratch: Path
) -> None:
    for monday, sunday in zip(MONDAYS, SUNDAYS, strict=True):
        pipeline.run({**FIXED, **dbt_vars, "as_of_date": sunday}, MART)
        database.export(pipeline.database, scratch)
        single, week = scratch / "final.parquet", week_path(weeks, monday)
        query = "from read_parquet(?, hive_partitioning = false)"
        assert duckdb.execute(query, [str(week)]).fetchall()
        assert week.read_bytes() == single.read_bytes()


def test_each_week_is_that_of_a_single_run(
    pipeline: Pipeline, published: Path, tmp_path: Path
) -> None:
    assert_weeks_are_those_of_single_runs(pipeline, published, {}, tmp_path)


def test_each_week_is_that_of_a_single_run_where_the_print_is_the_anchor(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    dbt_vars = {"lookback_anchor": "print", "lookback_weeks": "1"}
    pipeline.run({**FIXED, **dbt_vars, **parameters_of(FIRST, LAST)}, MART)
    database.export_weeks(pipeline.database, tmp_path / "weeks" / BACKFILL.mart)
    assert_weeks_are_those_of_single_runs(pipeline, tmp_path / "weeks", dbt_vars, tmp_path)


def test_published_weeks_are_read_only_described_and_verified(out: Path) -> None:
    manifest = manifest_of(out)
    assert [week["week_start_date"] for week in manifest["report_weeks"]] == list(MONDAYS)
    weeks = [BACKFILL.mart.replace("*", monday) for monday in MONDAYS]
    assert [output["name"] for output in manifest["outputs"]] == [
        *weeks, "value_props.duckdb", "report.html"
    ]  # fmt: skip
    for output in manifest["outputs"]:
        path = out / output["name"]
        assert path.stat().st_mode & 0o777 == 0o444
        assert (path.stat().st_size, contents(out)[output["name"]]) == (
            output["size_bytes"],
            output["sha256"],
        )
    assert not (out / "final.csv").is_symlink()
    path = week_path(out, MONDAYS[1])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    answer = value_props("verify", "--out", out, exit_code=1)
    assert MONDAYS[1] in answer.stderr


def test_engines_read_all_weeks_with_the_types_of_one(published: Path) -> None:
    pattern = str(published / "prints" / "*" / "*.parquet")
    one = duckdb.execute("from read_parquet(?, hive_partitioning = false)", [pattern])
    columns = [(column[0], column[1]) for column in one.description or []]
    assert len(columns) == 12
    query = (
        "select * exclude (week), week = week_start_date as is_same"
        " from read_parquet(?, hive_partitioning = true)"
    )
    both = duckdb.execute(query, [pattern])
    assert [(column[0], column[1]) for column in (both.description or [])[:-1]] == columns
    assert {row[-1] for row in both.fetchall()} == {True}
    frame = polars.read_parquet(published / "prints", hive_partitioning=True)
    assert (frame["week"] == frame["week_start_date"]).all()
    assert set(frame["week"].cast(str)) == set(MONDAYS)


@pytest.mark.usefixtures("_no_data_tests")
def test_a_short_lookback_is_refused_and_the_published_weeks_stay(
    pipeline: Pipeline, out: Path
) -> None:
    before = contents(out)
    arguments = ["--raw", str(pipeline.raw_path), "--out", str(out), "--run-date", RUN_DATE]
    with pytest.raises(ValuePropsError) as refused:
        cli.main(
            ["backfill", "--from", FIRST, "--to", LAST, "--lookback-weeks", "2", *arguments],
            standalone_mode=False,
        )
    assert refused.value.exit_code == ExitCode.GATE_FAILED
    [problem] = refused.value.details
    assert "does not cover all 14 days of these lookbacks" in problem
    assert "2020-W45 (pays 1, prints 1, taps 1), 2020-W46 (pays 8, prints 8, taps 8)." in problem
    assert "--from 2020-11-16, or accept it with --allow-incomplete" in problem
    assert contents(out) == before
    value_props("verify", "--out", out, exit_code=0)
    assert (out / "last_run" / "value_props.duckdb").is_file()
    assert not (out / ".work").exists()
    # What the message says to do.
    cli.main(
        ["backfill", "--from", "2020-11-16", "--to", LAST, "--lookback-weeks", "2", *arguments],
        standalone_mode=False,
    )
    shown = sorted(path.name for path in (out / "prints").iterdir())
    assert shown == ["week=2020-11-16", "week=2020-11-23"]
    value_props("rollback", "--out", out, exit_code=0)
    assert contents(out) == before
    assert not (out / "final.csv").is_symlink()


def test_a_folder_holds_what_one_command_publishes(published: Path) -> None:
    with pytest.raises(ValuePropsError, match="value-props backfill"):
        OutPath(published).prepare()
    OutPath(published, BACKFILL).prepare()


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2020-11-03", LAST, ["--from", "Tuesday", "2020-11-02 and 2020-11-09"]),
        (FIRST, "2020-11-30", ["--to", "Monday", "2020-11-29 and 2020-12-06"]),
        (FIRST, "2020-11-01", ["--to", "before 2020-11-02", "from 2020-11-08"]),
        (FIRST, "2030-10-27", ["521 weeks", "2030-10-20"]),
        ("2020-02-30", LAST, ["--from", "2020-02-30", "YYYY-MM-DD"]),
        ("1999-12-27", LAST, ["--from", "from 2000 on"]),
        (FIRST, "", ["--to", "YYYY-MM-DD"]),
        (FIRST, "9999-12-31", ["--to", "nearest are 9999-12-26"]),
    ],
)
def test_a_span_that_is_none_is_refused(first: str, last: str, words: list[str]) -> None:
    with pytest.raises(ValuePropsError) as refused:
        cli.main(["backfill", "--from", first, "--to", last], standalone_mode=False)
    assert refused.value.exit_code == ExitCode.CANNOT_RUN
    for word in words:
        assert word in str(refused.value)


def test_the_longest_span_is_accepted() -> None:
    assert parameters_of(FIRST, "2030-10-20")["report_weeks"] == "520"
    assert parameters_of(FIRST, "2020-11-08") == {
        "as_of_date": "2020-11-08",
        "week_rule": "complete",
        "report_weeks": "1",
    }


def test_weeks_have_the_same_bytes_with_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.duckdb"
    with duckdb.connect(str(source)) as connection:
        connection.execute(
            """
            create schema marts;
            create table marts.fct_prints as
            select
                md5(cast(i as varchar)) as print_id,
                date '2020-11-23' + cast(i % 14 as integer) as print_date,
                cast(date_trunc('week', print_date) as date) as week_start_date,
                hash(i) % 50000 as user_id,
                'value prop ' || i % 11 as value_prop,
                i as position
            from range(600000) as numbers (i)
            """
        )
    written = []
    for threads in (1, 2, 5):
        monkeypatch.setenv("VALUE_PROPS_THREADS", str(threads))
        database.export_weeks(source, tmp_path / str(threads) / BACKFILL.mart)
        folder = tmp_path / str(threads)
        paths = folder.rglob("*.parquet")
        written.append({path.relative_to(folder): sha256(path) for path in paths})
    assert len(written[0]) == 2
    assert written[0] == written[1] == written[2]
