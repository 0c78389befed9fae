"""Objects of a real S3 server: fetched once, uploaded whole, locked by one run at a time."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import BaseError
from support.http_receiver import receiving
from support.s3_server import BUCKET, SECRET, S3Server

from value_props.errors import ExitCode, ValuePropsError
from value_props.publish import bucket as module
from value_props.publish import bucket_lock
from value_props.publish.bucket import Bucket, Entry, mirror
from value_props.publish.bucket_lock import LOCK, locked


@pytest.fixture
def lake(
    server: S3Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Bucket:
    """A prefix of its own for each test."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return Bucket(f"s3://{BUCKET}/{abs(hash(request.node.nodeid))}")


def is_json(name: str) -> bool:
    return name.endswith(".json")


def test_only_what_changed_is_fetched(lake: Bucket, tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "other.txt", "deeper/c.json"):
        lake.write(name, name.encode())
    assert [entry.name for entry in mirror(lake, is_json, tmp_path)] == ["a.json", "b.json"]
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("[ab].json")}
    lake.write("b.json", b"changed")
    mirror(lake, is_json, tmp_path)
    assert (tmp_path / "b.json").read_bytes() == b"changed"
    assert (tmp_path / "a.json").stat().st_mtime_ns == before["a.json"]
    lake.remove(["a.json"])
    mirror(lake, is_json, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("[ab].json")) == ["b.json"]


def test_a_fetch_goes_on_where_it_was_broken_off(
    lake: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 1000)
    content = bytes(range(256)) * 20
    lake.write("a", content)
    entry = lake.entries()["a"]
    fetched: list[int] = []
    part = Bucket._part

    def broken(self: Bucket, entry: Entry, start: int, length: int) -> bytes:
        if start == 3000 and len(fetched) == 3:
            fetched.append(-1)
            raise InterruptedError
        fetched.append(start)
        return part(self, entry, start, length)

    monkeypatch.setattr(Bucket, "_part", broken)
    with pytest.raises(InterruptedError):
        lake.fetch(entry, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    lake.fetch(entry, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content
    assert fetched == [0, 1000, 2000, -1, 3000, 4000, 5000]


def test_only_what_a_fetch_can_go_on_from_is_kept(
    lake: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.json", "a.json.gz", "b.json"):
        lake.write(name, b"first")
    entries = lake.files()
    drafts = {name: module._draft_of(tmp_path / name, entries[name]) for name in entries}
    for draft in drafts.values():
        draft.write_bytes(b"fi")
    lake.fetch(entries["a.json"], tmp_path / "a.json")
    # Its name begins as that of a draft of a.json would.
    assert drafts["a.json.gz"].exists()
    drafts["a.json"].write_bytes(b"fi")
    monkeypatch.setattr(Bucket, "fetch", lambda *_: None)
    lake.write("a.json", b"second")
    lake.remove(["b.json"])
    mirror(lake, lambda name: True, tmp_path)
    assert [path for path in drafts.values() if path.exists()] == [drafts["a.json.gz"]]


def test_an_object_that_changes_while_it_is_fetched_is_refused(
    lake: Bucket, tmp_path: Path
) -> None:
    lake.write("a", b"one")
    entry = lake.entries()["a"]
    lake.write("a", b"two")
    with pytest.raises(ValuePropsError, match="changed while it was fetched"):
        lake.fetch(entry, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_what_does_not_match_its_etag_is_fetched_anew(lake: Bucket, tmp_path: Path) -> None:
    lake.write("a", b"content")
    entry = lake.entries()["a"]
    lake.fetch(entry, tmp_path / "a")
    module._draft_of(tmp_path / "a", entry).write_bytes(b"CONTENT")
    lake.fetch(entry, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"


def test_an_object_that_arrives_differently_each_time_is_refused(
    lake: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write("a", b"content")
    answers = iter((b"CONTENT", b"cONTENT"))
    monkeypatch.setattr(Bucket, "_part", lambda *_: next(answers))
    with pytest.raises(ValuePropsError, match="a arrives damaged"):
        lake.fetch(lake.entries()["a"], tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_an_etag_that_is_no_md5_costs_one_more_fetch(
    lake: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of a bucket whose objects are encrypted with a key of its user.
    monkeypatch.setattr(module, "_md5", lambda: hashlib.blake2s(digest_size=16))
    fetched: list[str] = []
    part = Bucket._part

    def counted(self: Bucket, entry: Entry, start: int, length: int) -> bytes:
        fetched.append(entry.name)
        return part(self, entry, start, length)

    monkeypatch.setattr(Bucket, "_part", counted)
    for name in ("a", "b"):
        lake.write(name, name.encode())
        lake.fetch(lake.entries()[name], tmp_path / name)
        assert (tmp_path / name).read_bytes() == name.encode()
    assert fetched == ["a", "a", "b"]


def test_what_was_fetched_before_a_failure_is_not_fetched_again(
    lake: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PARALLEL", 1)
    for name in ("a.json", "b.json"):
        lake.write(name, b"old")
    fetched = fetches_of_which_one_fails(monkeypatch, "b.json")
    with pytest.raises(InterruptedError):
        mirror(lake, is_json, tmp_path)
    mirror(lake, is_json, tmp_path)
    assert fetched == ["a.json", "b.json", "b.json"]


def test_a_file_whose_fetch_was_broken_off_is_taken_for_no_version(
    lake: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write("a.json", b"old")
    mirror(lake, is_json, tmp_path)
    lake.write("a.json", b"new")
    fetches_of_which_one_fails(monkeypatch, "a.json")
    with pytest.raises(InterruptedError):
        mirror(lake, is_json, tmp_path)
    assert (tmp_path / "a.json").read_bytes() == b"new"
    lake.write("a.json", b"old")
    mirror(lake, is_json, tmp_path)
    assert (tmp_path / "a.json").read_bytes() == b"old"


def fetches_of_which_one_fails(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Break the first fetch of an object off once its file is there; all fetches are listed."""
    fetched: list[str] = []
    fetch = Bucket.fetch

    def failing(self: Bucket, entry: Entry, target: Path) -> None:
        fetched.append(entry.name)
        fetch(self, entry, target)
        if entry.name == name and fetched.count(name) == 1:
            raise InterruptedError

    monkeypatch.setattr(Bucket, "fetch", failing)
    return fetched


def test_an_upload_arrives_whole_in_parts(
    lake: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small").write_bytes(b"small")
    (tmp_path / "large").write_bytes(b"0123456789" * 2_000_000)
    files = {"runs/1/small": tmp_path / "small", "runs/1/large": tmp_path / "large"}
    lake.upload(files)
    assert {name: entry.size for name, entry in lake.entries().items()} == {
        "runs/1/small": 5,
        "runs/1/large": 20_000_000,
    }
    target = tmp_path / "back"
    lake.fetch(lake.entries()["runs/1/large"], target)
    assert target.read_bytes() == (tmp_path / "large").read_bytes()


def test_one_run_at_a_time_holds_the_lock(lake: Bucket) -> None:
    with locked(lake, "first"):
        with (
            pytest.raises(ValuePropsError, match="run first on") as refused,
            locked(lake, "second"),
        ):
            pass
        assert refused.value.exit_code == ExitCode.LOCKED
    with locked(lake, "second"):
        assert json.loads(lake.read(LOCK))["run_id"] == "second"
    assert lake.entries() == {}


def test_of_many_who_want_it_one_gets_an_expired_lock(lake: Bucket) -> None:
    lake.write(LOCK, json.dumps({"run_id": "dead", "host": "gone", "expires_at": 1.0}).encode())
    got: list[str] = []
    refused: list[ExitCode] = []

    def run(name: str) -> None:
        try:
            with locked(lake, name):
                got.append(name)
                time.sleep(1)
        except ValuePropsError as error:
            refused.append(error.exit_code)

    threads = [threading.Thread(target=run, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), refused) == (1, [ExitCode.LOCKED] * 5)


def test_a_lock_is_renewed_and_one_that_was_taken_over_is_noticed(
    lake: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_lock, "LOCK_SECONDS", 0.6)
    with locked(lake, "mine") as lock:
        time.sleep(1.5)
        lock.check()
        assert json.loads(lake.read(LOCK))["expires_at"] > time.time()
        lake.write(LOCK, json.dumps({"run_id": "other", "expires_at": 9e9}).encode())
        with pytest.raises(ValuePropsError, match="another run may have taken it") as lost:
            lock.check()
        assert lost.value.exit_code == ExitCode.NOT_PUBLISHED
    assert json.loads(lake.read(LOCK))["run_id"] == "other"


def test_a_lock_whose_answers_are_lost_is_still_this_runs(
    lake: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = obstore.put

    def sent_again(*arguments: Any, **options: Any) -> Any:
        put(*arguments, **options)
        return put(*arguments, **options)

    monkeypatch.setattr(obstore, "put", sent_again)
    with locked(lake, "mine") as lock:
        lock.check()
        lock.check()
        with pytest.raises(ValuePropsError, match="run mine"), locked(lake, "other"):
            pass
    assert LOCK not in lake.entries()


@pytest.mark.parametrize(
    ("address", "variables", "complaint"),
    [
        ("s3://none/raw", {}, "there is no such bucket"),
        (f"s3://{BUCKET}/raw", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "the credentials are refused"),
        (f"s3://{BUCKET}/raw", {"AWS_ACCESS_KEY_ID": "nobody"}, "the credentials are refused"),
        (f"s3://{BUCKET}/raw", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
def test_each_failure_is_a_paragraph_without_a_secret(
    lake: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    variables: dict[str, str],
    complaint: str,
) -> None:
    monkeypatch.setattr(module, "RETRIES", 1)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValuePropsError, match=complaint) as caught:
        Bucket(address).entries()
    assert caught.value.exit_code == ExitCode.CANNOT_RUN
    assert address in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "Error" not in str(caught.value).replace("NoSuchBucket", "")


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3://key:secret@lake/raw",
        "s3://key:se/cret@lake/raw",
        "s3://lake?key=secret",
        "ftp://lake/raw",
        "s3:/lake/raw",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(
        ValuePropsError, match=r"not the address of a bucket|holds credentials"
    ) as caught:
        Bucket(address)
    assert "cret" not in str(caught.value).replace("credentials", "")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The keys that a store lists, whatever it is asked; a real one may refuse such keys."""
    keys: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        items = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            "<ETag>1</ETag><Size>0</Size></Contents>"
            for key in keys
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>"
        request.send_response(200)
        request.end_headers()
        request.wfile.write(body.encode())

    with receiving() as store:
        store.answer = answer
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "x")
        yield keys


@pytest.mark.parametrize("key", ["raw//a.json", "raw/deeper//a.json", "raw/./a.json"])
def test_a_name_that_no_file_can_have_is_told(listed: list[str], key: str) -> None:
    listed += ["raw/b.json", key]
    with pytest.raises(ValuePropsError, match=f"the name of the object {key}. Rename"):
        Bucket("s3://lake/raw").entries()


def test_a_folder_that_a_console_made_is_no_raw_file(listed: list[str], tmp_path: Path) -> None:
    listed += ["raw/", "raw/deeper/"]
    assert mirror(Bucket("s3://lake/raw"), is_json, tmp_path) == []


def test_a_lock_on_google_names_the_version_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRIES", 0)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9")
    over: Any = bucket_lock._version_of({"e_tag": '"a"', "version": "1"})
    # Without one nothing would be sent.
    with pytest.raises(BaseError, match=r"PUT http://127\.0\.0\.1:9/lake/"):
        obstore.put(Bucket("gs://lake/x").store, LOCK, b"", mode=over)
