"""Azure's store, as Azurite speaks for it: objects, the lock, and an out path."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path

import pytest
import requests
from support.bucket_runs import publish, published
from support.harness import free_port

from value_props.errors import ExitCode, ValuePropsError
from value_props.publish.bucket import Bucket, mirror
from value_props.publish.bucket_lock import locked
from value_props.publish.places import place_of

# The account that every Azurite has, with its public key.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "lake"
START_SECONDS = 60


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a container that is there while the test runs."""
    command = shutil.which("azurite-blob")
    if command is None:
        pytest.skip("azurite-blob is not installed")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", url)
    with subprocess.Popen(
        [
            *(command, "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
            *("--location", str(tmp_path / "azurite"), "--blobHost", "127.0.0.1"),
            *("--blobPort", str(port)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _make_container(url)
            yield f"az://{CONTAINER}"
        finally:
            process.kill()


def _make_container(url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        lines = [
            *("PUT", *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())),
            *(f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}", "restype:container"),
        ]
        signed = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256)
        headers["Authorization"] = (
            f"SharedKey {ACCOUNT}:{base64.b64encode(signed.digest()).decode()}"
        )
        with suppress(requests.ConnectionError):
            answer = requests.put(
                f"{url}/{ACCOUNT}/{CONTAINER}?restype=container", headers=headers, timeout=10
            )
            assert answer.status_code == 201, answer.text
            return
        time.sleep(0.2)
    raise AssertionError("Azurite does not answer")


def test_azure_holds_raw_files_a_lock_and_an_out_path(lake: str, tmp_path: Path) -> None:
    raw = place_of(f"{lake}/raw/", "raw").bucket
    assert raw
    raw.upload({"prints.json": Path(__file__), "deeper/prints.json": Path(__file__)})
    [entry] = mirror(raw, lambda name: name.endswith(".json"), tmp_path / "mirror")
    assert entry.name == "prints.json"
    assert (tmp_path / "mirror" / "prints.json").read_bytes() == Path(__file__).read_bytes()

    with locked(Bucket(f"{lake}/twice"), "first") as lock:
        lock.check()
        with pytest.raises(ValuePropsError, match="run first on") as refused:
            publish(tmp_path / "a", "twice", "1", lake)
    assert refused.value.exit_code == ExitCode.LOCKED
    publish(tmp_path / "a", "twice", "1", lake)
    publish(tmp_path / "b", "twice", "2", lake)
    assert set(published("twice", lake).values()) == {"2"}

    with pytest.raises(ValuePropsError, match="there is no such bucket"):
        Bucket("az://none/raw").entries()
