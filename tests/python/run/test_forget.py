"""Nothing that is kept tells of a user who was forgotten, and raw text goes with its run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.harness import CLEAN, build, manifest_of, value_props
from support.http_receiver import receiving
from support.s3_server import BUCKET, S3Server

from value_props import database
from value_props.database import parquet_rows
from value_props.publish import out_path
from value_props.publish.bucket import Bucket
from value_props.publish.places import CACHE, place_of

USER = 7_301_954_468_201
ROWS = {
    "prints.json": [
        f'{{"day":"2020-11-24","event_data":{{"position":0,"value_prop":"point"}},"user_id":{USER}}}',
        f'{{"day":"2020-11-10","event_data":{{"position":0,"value_prop":"point"}},"user_id":{USER}}}',
        # Not plain: it is kept with its text.
        f'{{"day":"2020-11-24","user_id":{USER},"event_data":{{"position":1,"value_prop":"é"}}}}',
        f'{{"day":"2020-11-24","event_data":{{"position":-1,"value_prop":"point"}},"user_id":{USER}}}',
    ],
    "taps.json": [
        f'{{"day":"2020-11-24","event_data":{{"position":0,"value_prop":"point"}},"user_id":{USER}}}'
    ],
    "pays.csv": [f"2020-11-11,12.50,{USER},point", f"2020-11-11,nothing,{USER},point"],
}


def with_user(folder: Path) -> Path:
    """Raw files that hold the user."""
    shutil.copytree(CLEAN, folder)
    for name, lines in ROWS.items():
        with (folder / name).open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    return folder


def without_user(folder: Path) -> Path:
    """The same files, once somebody removed the user's lines from them."""
    for name in ROWS:
        shutil.copyfile(CLEAN / name, folder / name)
    return folder


def texts_of(path: Path) -> str:
    """All that a file holds, as text."""
    if path.suffix == ".parquet":
        with database.opened(None) as connection:
            return str(connection.execute(f"from {parquet_rows([path])}").fetchall())
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = connection.execute(
                "select schema_name || '.' || table_name from duckdb_tables()"
            ).fetchall()
            return str([connection.execute(f"from {table}").fetchall() for (table,) in tables])
    return path.read_bytes().decode("utf-8", "replace")


def traces(root: Path) -> set[str]:
    """Where the user stands below a folder: the first two parts of each path."""
    return {
        "/".join(path.relative_to(root).parts[:2])
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and str(USER) in texts_of(path)
    }


def places(found: set[str]) -> set[str]:
    return {name.partition("/")[0] for name in found}


def report_of(out: str | Path, run_id: str) -> dict[str, Any]:
    answer = value_props("report", run_id, "--out", out, exit_code=0)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def samples_of(report: dict[str, Any]) -> list[str | None]:
    return [
        sample["text"]
        for dataset in report["datasets"]
        for reason in dataset["quarantine"]
        for sample in reason["samples"]
    ]


def run_ids(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "quality").iterdir())


def test_a_forgotten_user_is_nowhere(published: Path, tmp_path: Path) -> None:
    raw, out = with_user(tmp_path / "raw"), tmp_path / "out"
    with receiving() as listener, pytest.MonkeyPatch.context() as patched:
        patched.setenv("VALUE_PROPS_WEBHOOK", listener.url)
        patched.setenv("VALUE_PROPS_NOTIFY_ON_WARN", "1")
        answers = [
            build(out, "--max-quarantine-rate", rate, raw=raw, exit_code=code)
            for rate, code in (("0.5", 0), ("0.5", 0), ("0", 1))
        ]
    told = [answer.text for answer in answers] + [str(body) for *_, body in listener.requests]
    told += [path.read_text("utf-8") for path in (*out.rglob("run.log"), out / "metrics.prom")]
    assert len(told) >= 3 + 1 + 4
    assert not [text for text in told if str(USER) in text]
    before = run_ids(out)
    # That the search finds the user wherever one is kept.
    assert places(traces(out)) == {"runs", "quality", "parsed", "last_run"}

    refused = value_props("forget", "--user", str(USER), "--out", out, exit_code=2)
    assert "prints.json: lines " in refused.text
    assert "taps.json: lines 52. " in refused.text
    assert "pays.csv: lines " in refused.text
    assert str(USER) not in refused.text
    assert len(list((out / "runs").iterdir())) == 2

    without_user(raw)
    answer = value_props("forget", "--user", str(USER), "--out", out, exit_code=0)
    assert "Removed older runs: 2;" in answer.text
    assert traces(out) == set()
    value_props("verify", "--out", out, exit_code=0)
    manifest = manifest_of(out)
    assert manifest["parameters"]["max_quarantine_rate"] == "0.500000000"
    assert [path.name for path in (out / "runs").iterdir()] == [manifest["run_id"]]
    # All runs are still told, with their counts.
    assert run_ids(out)[:3] == before
    old = report_of(out, before[0])
    assert old["datasets"][0]["quarantine"][0]["rows"] == 1
    assert set(samples_of(old)) == {None}
    listed = value_props("history", "--out", out).text
    assert "published to forget users; number of users: 1" in listed

    assert (published / "final.csv").read_bytes() == (out / "final.csv").read_bytes()
    build(out, raw=raw)


def test_a_user_is_forgotten_where_nothing_is_published(tmp_path: Path) -> None:
    raw, out = with_user(tmp_path / "raw"), tmp_path / "out"
    build(out, "--max-quarantine-rate", "0", raw=raw, exit_code=1)
    assert places(traces(out)) == {"quality", "parsed", "last_run"}
    value_props("forget", "--user", str(USER), "--out", out, exit_code=0)
    assert traces(out) == set()


def test_a_backfill_forgets_and_stays_a_backfill(tmp_path: Path) -> None:
    raw, out = with_user(tmp_path / "raw"), tmp_path / "out"
    span = ("--from", "2020-11-23", "--to", "2020-11-29")
    value_props(
        *("backfill", *span, "--raw", raw, "--out", out),
        *("--max-quarantine-rate", "0.5", "--allow-incomplete"),
        exit_code=0,
    )
    without_user(raw)
    value_props("forget", "--user", str(USER), "--out", out, exit_code=0)
    assert (out / "prints" / "week=2020-11-23" / "prints.parquet").is_file()
    assert traces(out) == set()


def test_a_bucket_forgets_what_lies_in_it(
    tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**server.environment, CACHE: str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    raw, out = Bucket(f"s3://{BUCKET}/forget/raw"), f"s3://{BUCKET}/forget/out"
    files = with_user(tmp_path / "raw")
    raw.upload({path.name: path for path in files.iterdir()})
    build(out, "--max-quarantine-rate", "0.5", raw=raw.address)
    without_user(files)
    raw.upload({path.name: path for path in files.iterdir()})
    value_props("forget", "--user", str(USER), "--out", out, exit_code=0)
    copy = tmp_path / "copy"
    bucket = Bucket(out)
    for name, entry in bucket.entries().items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        bucket.fetch(entry, copy / name)
    assert len(list((copy / "runs").iterdir())) == 1
    assert traces(copy) == set()
    assert traces(place_of(out, "out").folder) == set()
    # Another machine, which may have kept what it once fetched.
    monkeypatch.setenv(CACHE, str(tmp_path / "elsewhere"))
    assert "to forget users" in value_props("history", "--out", out).text


@pytest.mark.parametrize("text", ["0", "-1", "x", "1 or 1=1", "9223372036854775808", "", "1.0"])
def test_what_is_no_user_is_refused(tmp_path: Path, text: str) -> None:
    answer = value_props("forget", "--user", text, "--out", tmp_path, exit_code=2)
    assert "Parameter --user" in answer.text


def test_raw_text_leaves_the_records_with_the_files_of_their_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_path, "RUNS_KEPT", 1)
    raw, out = with_user(tmp_path / "raw"), tmp_path / "out"
    with_text: list[list[bool]] = []
    for rate, code in (("0", 1), ("0", 1), ("0.5", 0), ("0.5", 0)):
        build(out, "--max-quarantine-rate", rate, raw=raw, exit_code=code)
        reports = [report_of(out, run_id) for run_id in run_ids(out)]
        with_text.append([None not in samples_of(report) for report in reports])
        found = places(traces(out / "quality"))
        assert [run_id in found for run_id in run_ids(out)] == with_text[-1]
        assert all(report["datasets"][0]["quarantine"][0]["rows"] == 1 for report in reports)
    # A failed run keeps it until another run fails or is published, a passed one until it goes.
    assert with_text == [
        [True], [False, True], [False, False, True], [False, False, False, True]
    ]  # fmt: skip
