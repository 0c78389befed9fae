"""The command over buckets, as a user runs it, against a real S3 server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support import harness
from support.harness import CLEAN, ROOT, Answer
from support.http_receiver import receiving
from support.s3_server import BUCKET, SECRET, S3Server, stop_in_an_upload

from value_props.publish import bucket as module
from value_props.publish.bucket import Bucket
from value_props.publish.bucket_lock import LOCK, locked
from value_props.publish.bucket_publisher import BucketPublisher
from value_props.publish.out_path import OutPath
from value_props.publish.places import CACHE, Place, place_of

RAW, OUT = Bucket(f"s3://{BUCKET}/cli/raw"), Bucket(f"s3://{BUCKET}/cli/out")
PARAMETERS = ("--run-date", "2020-12-01")


TOLD: list[Answer] = []
EVENTS: list[dict[str, Any]] = []


def value_props(*arguments: str | Path) -> Answer:
    """Run the command, and keep what it says."""
    answer = harness.value_props(*arguments)
    TOLD.append(answer)
    return answer


def build(*arguments: str | Path) -> Answer:
    return value_props("build", "--raw", RAW.address, "--out", OUT.address, *PARAMETERS, *arguments)


def manifest() -> dict[str, Any]:
    """What readers find in the bucket."""
    found: dict[str, Any] = json.loads(OUT.read("manifest.json"))
    return found


def history(*arguments: str) -> dict[str, dict[str, Any]]:
    answer = value_props("history", "--out", OUT.address, "--json", *arguments)
    assert answer.returncode == 0, answer.text
    return {run["run_id"]: run for run in json.loads(answer.text)}


def assert_is_whole() -> None:
    """That the run which readers find has all its files."""
    answer = value_props("verify", "--out", OUT.address)
    assert answer.returncode == 0, answer.text


def free_the_lock_of_a_dead_run() -> None:
    OUT.write(LOCK, b'{"expires_at": 0}')


@pytest.fixture(scope="module", autouse=True)
def cache(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("buckets") / "cache"
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {**server.environment, CACHE: str(folder)}.items():
            patched.setenv(name, value)
        yield folder


@pytest.fixture(scope="module")
def first(cache: Path) -> Answer:
    """The answer of the first build: raw files and out path in a bucket."""
    RAW.upload({path.name: path for path in CLEAN.iterdir()})
    RAW.write("notes.txt", b"no raw file")
    with receiving() as listener, pytest.MonkeyPatch.context() as patched:
        patched.setenv("OPENLINEAGE_URL", listener.url)
        answer = value_props(
            "--debug", "build", "--raw", f"{RAW}/", "--out", OUT.address, *PARAMETERS
        )
    assert answer.returncode == 0, answer.text
    EVENTS.extend(json.loads(body) for _, _, body in listener.requests)
    return answer


@pytest.fixture
def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "elsewhere"))


def test_a_build_over_buckets_is_one_over_folders(
    first: Answer, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE_PROPS_RAW", str(CLEAN))
    monkeypatch.setenv("VALUE_PROPS_OUT", str(tmp_path / "out"))
    # Make passes an empty text for what is not given.
    assert value_props("build", "--raw", "", *PARAMETERS).returncode == 0
    here = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    there = manifest()
    outputs = {output["name"]: output for output in there["outputs"]}
    for name in ("final.csv", "final.parquet"):
        assert OUT.read(outputs[name]["path"]) == (tmp_path / "out" / name).read_bytes()
    assert {output["path"] for output in there["outputs"]} == {
        f"runs/{there['run_id']}/{name}" for name in outputs
    }
    assert there["raw_path"] == there["parameters"]["raw_path"] == RAW.address
    objects = RAW.entries()
    for row, same in zip(there["inputs"], here["inputs"], strict=True):
        name = Path(same["path"]).name
        assert (row["path"], row["sha256"]) == (f"{RAW}/{name}", same["sha256"])
        assert row["etag"] == objects[name].etag
    assert not {"etag", "mirror"} & {*here["inputs"][0], *here["seconds"]}


def test_the_user_is_told_addresses(first: Answer, cache: Path) -> None:
    run_id = manifest()["run_id"]
    assert f" {OUT}/manifest.json " in first.text
    assert f" {OUT}/runs/{run_id}/final.csv " in first.text
    folder = place_of(OUT.address, "out").folder
    assert first.text.count(str(cache)) == 1
    assert f"stay on this machine, in {folder}." in first.text
    assert (folder / "metrics.prom").exists()
    [run] = history().values()
    assert run["raw_path"] == RAW.address
    assert str(cache) not in json.dumps(manifest())
    tables = [table for event in EVENTS for table in event["inputs"] + event["outputs"]]
    assert {table["namespace"] for table in tables} == {f"duckdb://{OUT}/value_props.duckdb"}


def versions_of_the_catalogue(run_id: str, folder: Path) -> list[tuple[Any, ...]]:
    path = folder / f"{run_id}.duckdb"
    path.write_bytes(OUT.read(f"runs/{run_id}/value_props.duckdb"))
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute("from snapshots.snap_value_props order by all").fetchall()


def test_only_what_changed_is_fetched_and_a_run_can_be_gone_back_from(
    first: Answer, cache: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    before = manifest()["run_id"]
    # Of what was published nothing is here any more.
    place_of(OUT.address, "out").folder.rename(cache / "lost")
    mirrored = place_of(RAW.address, "raw").folder
    times = {path.name: path.stat().st_mtime_ns for path in mirrored.glob("[!.]*")}
    assert "notes.txt" not in times
    line = b'{"day":"2020-11-24","event_data":{"position":0,"value_prop":"point"},"user_id":7}\n'
    RAW.write("taps_late.json", line)
    answer = build()
    assert answer.returncode == 0, answer.text
    after = manifest()["run_id"]
    assert after > before
    versions = versions_of_the_catalogue(before, tmp_path)
    assert versions == versions_of_the_catalogue(after, tmp_path) != []
    assert {
        path.name
        for path in mirrored.glob("[!.]*")
        if times.get(path.name) != path.stat().st_mtime_ns
    } == {"taps_late.json"}
    request.getfixturevalue("another_machine")
    changed = value_props("diff", before, after, "--out", OUT.address)
    assert changed.returncode == 0, changed.text
    assert "changes from" in changed.text
    answer = value_props("rollback", "--out", OUT.address)
    assert (answer.returncode, manifest()["run_id"]) == (0, before)
    assert {run_id: run["status"] for run_id, run in history().items()} == {
        before: "published",
        after: "rolled back",
    }
    again = value_props("rollback", "--to", after, "--out", OUT.address)
    assert (again.returncode, manifest()["run_id"]) == (0, after)
    assert f"quality/{after}/rolled_back" not in OUT.entries()


def test_verify_reads_the_objects_themselves(first: Answer) -> None:
    assert_is_whole()
    [path] = [row["path"] for row in manifest()["outputs"] if row["name"] == "final.csv"]
    content = OUT.read(path)
    OUT.write(path, content.swapcase())
    answer = value_props("verify", "--out", OUT.address)
    assert answer.returncode == 1
    assert f"{OUT}/{path} has changed since it was published" in answer.text
    OUT.remove([path])
    assert f"{path} is missing" in value_props("verify", "--out", OUT.address).text
    OUT.write(path, content)


def test_one_run_at_a_time_publishes(
    first: Answer, another_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver, locked(OUT, "other"):
        monkeypatch.setenv("VALUE_PROPS_WEBHOOK", receiver.url)
        answer = build()
    assert receiver.requests == []
    assert (answer.returncode, "run other on" in answer.text) == (3, True)
    assert OUT.address in answer.text


def test_a_backfill_does_not_replace_a_build(first: Answer, another_machine: None) -> None:
    span = ("--from", "2020-11-23", "--to", "2020-11-29")
    answer = value_props("backfill", *span, "--raw", RAW.address, "--out", OUT.address)
    assert answer.returncode == 2
    assert f"`value-props build --out {OUT.address}` published" in answer.text


def test_the_record_of_a_failed_run_is_in_the_bucket(
    first: Answer, cache: Path, request: pytest.FixtureRequest
) -> None:
    shown = manifest()["run_id"]
    lonely = Bucket(f"s3://{BUCKET}/cli/lonely")
    lonely.write("prints.json", b"")
    answer = value_props("build", "--raw", lonely.address, "--out", OUT.address)
    assert answer.returncode == 2
    assert f"Raw path {lonely}: no file for the source taps." in answer.text
    assert str(cache) not in answer.text
    request.getfixturevalue("another_machine")
    run_id, run = max(history().items())
    assert run["status"] == "failed"
    report = json.loads(value_props("report", run_id, "--out", OUT.address).text)
    assert report["run"]["run_id"] == run_id
    assert manifest()["run_id"] == shown


def test_an_out_path_that_cannot_be_opened_is_told_and_recorded(
    first: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver, monkeypatch.context() as patched:
        patched.setenv("VALUE_PROPS_WEBHOOK", receiver.url)
        patched.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        answer = build()
    assert (answer.returncode, "the credentials are refused" in answer.text) == (2, True), (
        answer.text
    )
    [(_, _, body)] = receiver.requests
    alert = json.loads(body)
    assert alert["event"] == "failed"
    assert "the credentials are refused" in alert["findings"][0]
    folder = place_of(OUT.address, "out").folder
    assert "value_props_run_exit_code 2.0" in (folder / "metrics.prom").read_text(encoding="utf-8")
    # The next run brings the record up.
    with BucketPublisher(Place(OUT.address, folder, OUT), OutPath(folder), OUT).session("next"):
        pass
    monkeypatch.setenv(CACHE, str(tmp_path / "elsewhere"))
    run = history()[alert["run_id"]]
    assert (run["status"], run["exit_code"]) == ("failed", 2)


@pytest.mark.parametrize(
    ("address", "variables", "complaint"),
    [
        (OUT.address, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "the credentials are refused"),
        (OUT.address, {"AWS_ACCESS_KEY_ID": "nobody"}, "the credentials are refused"),
        (OUT.address, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "credentials"),
        (OUT.address, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "it does not answer"),
        ("s3://none/out", {}, "there is no such bucket"),
        (f"s3://somebody:{SECRET}@{BUCKET}/out", {}, "it holds credentials"),
        (f"s3://{BUCKET}/out?secret={SECRET}", {}, "it is not the address of a bucket"),
        ("https://lake/out", {}, "it is not the address of a bucket"),
        ("az://lake/out", {}, "no credentials were found"),
    ],
)
@pytest.mark.parametrize("command", ["--raw", "--out"])
def test_each_failure_is_a_paragraph_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    address: str,
    variables: dict[str, str],
    complaint: str,
) -> None:
    monkeypatch.setattr(module, "RETRIES", 0)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    options = {"--raw": str(CLEAN), "--out": str(tmp_path / "out"), command: address}
    answer = value_props("build", *(text for pair in options.items() for text in pair))
    assert (answer.returncode, complaint in answer.text) == (2, True), answer.text
    assert "Traceback" not in answer.text


def test_a_run_that_is_asked_to_stop_frees_the_lock_and_is_recorded(first: Answer) -> None:
    shown, before = manifest()["run_id"], set(history())
    arguments = ("build", "--raw", RAW.address, "--out", OUT.address, *PARAMETERS)
    program = "from value_props.cli.program import main; main()"
    assert stop_in_an_upload(program, *arguments, number=signal.SIGTERM) == 2
    assert LOCK not in OUT.entries()
    assert manifest()["run_id"] == shown
    assert_is_whole()
    recorded = history()
    [stopped] = set(recorded) - before
    assert not OUT.entries(f"runs/{stopped}")
    assert recorded[stopped]["status"] == "failed"
    assert recorded[stopped]["problem"] == "The run was interrupted"


def test_a_kill_and_a_store_that_stops_leave_the_last_good_set(
    first: Answer, server: S3Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = manifest()["run_id"]
    arguments = ("build", "--raw", RAW.address, "--out", OUT.address, *PARAMETERS)
    stop_in_an_upload("from value_props.cli.program import main; main()", *arguments)
    runs = {name.split("/")[1] for name in OUT.entries("runs")}
    [killed] = [run_id for run_id in runs if f"runs/{run_id}/manifest.json" not in OUT.entries()]
    assert manifest()["run_id"] == shown
    assert_is_whole()
    # Nobody waits for the lock of the dead here.
    free_the_lock_of_a_dead_run()

    upload = Bucket.upload

    def stopped(self: Bucket, files: dict[str, Path]) -> None:
        upload(self, dict([files.popitem()]))
        server.stop()
        upload(self, files)

    with monkeypatch.context() as patched:
        patched.setattr(module, "RETRIES", 0)
        patched.setattr(Bucket, "upload", stopped)
        answer = build()
    server.start()
    assert (answer.returncode, "it does not answer" in answer.text) == (4, True), answer.text
    assert manifest()["run_id"] == shown
    assert_is_whole()

    free_the_lock_of_a_dead_run()
    answer = value_props("rollback", "--to", shown, "--out", OUT.address)
    assert answer.returncode == 0, answer.text
    names = OUT.entries()
    assert {name.split("/")[1] for name in names if name.startswith("runs/")} < runs
    assert not any(killed in name for name in names if name.startswith("runs/"))
    recorded = history()
    assert recorded[killed]["status"] == "killed"
    assert (max(recorded.items())[1]["status"], max(recorded.items())[1]["exit_code"]) == (
        "failed",
        4,
    )
    assert_is_whole()


def test_plain_dbt_reads_a_bucket(first: Answer, tmp_path: Path) -> None:
    variables = {"raw_path": RAW.address, "run_date": "2020-12-01"}
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", "build", "--select", "+fct_prints"),
            *("--indirect-selection", "cautious", "--exclude-resource-type", "unit_test"),
            *("--vars", json.dumps(variables)),
            *("--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")),
        ],
        cwd=ROOT,
        env={**os.environ, "VALUE_PROPS_DEV_DB": str(tmp_path / "dev.duckdb")},
        capture_output=True,
        errors="replace",
        check=False,
        encoding="utf-8",
    )
    assert answer.returncode == 0, answer.stdout
    with duckdb.connect(str(tmp_path / "dev.duckdb")) as connection:
        counted = connection.execute("select count(*) from marts.fct_prints").fetchone()
    assert counted == (manifest()["rows_in_mart"],)
    shutil.copytree(tmp_path / "target", place_of(OUT.address, "out").folder / ".cache" / "plain")
    TOLD.append(Answer(0, answer.stdout, answer.stderr))


def test_no_secret_is_left_anywhere(first: Answer, cache: Path) -> None:
    assert not [answer.text for answer in TOLD if SECRET in answer.text]
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert {"run.log", "manifest.json", "value_props.duckdb"} <= {path.name for path in files}
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    everything = Bucket(f"s3://{BUCKET}/cli")
    assert not [name for name in everything.entries() if SECRET.encode() in everything.read(name)]
