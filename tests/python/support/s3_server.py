"""Start a real S3 server that checks signatures, on the loopback address."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

SECRET = "planted-secret-k3y"
BUCKET = "lake"
PROBE = "ready"
START_SECONDS = 60
_SLOW_UPLOADS = """
import time
from value_props.publish.bucket import Bucket
upload = Bucket.upload
def slow(self, files):
    for item in files.items():
        upload(self, dict([item]))
        if item[0].startswith("runs/"):
            print("uploaded", flush=True)
            time.sleep(60)
Bucket.upload = slow
"""


@dataclass
class S3Server:
    """SeaweedFS in one process.

    Args:
        folder: folder for its data and log.
        port: port of the S3 API. The other parts use the next three ports. Each part also uses
            its port plus 10,000.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that a client needs."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start the server. It has the data that it had when it was stopped."""
        parts = ("s3", "master", "volume", "filer")
        ports = [f"-{part}.port={self.port + place}" for place, part in enumerate(parts)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(Path(sys.executable).with_name("weed")),
                    # Otherwise it writes its log to the folder for temporary files.
                    "-logtostderr=true",
                    *("mini", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                    *(f"-bucket={BUCKET}", "-s3.autoCreateBucket=false", *ports),
                    *("-webdav=false", "-admin.ui=false", "-master.telemetry=false"),
                ],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + START_SECONDS
        while not self._is_ready():
            assert time.monotonic() < until, (self.folder / "log").read_text(encoding="utf-8")[
                -2000:
            ]
            time.sleep(0.2)

    def stop(self) -> None:
        """Kill the server, as a crash would."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _is_ready(self) -> bool:
        """Return whether it can read and write objects. It can list them some time earlier."""
        store = S3Store(
            BUCKET,
            endpoint=self.environment["AWS_ENDPOINT_URL"],
            access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        try:
            with suppress(FileNotFoundError):
                # Read an object from before the stop.
                obstore.get(store, PROBE).bytes()
            obstore.put(store, PROBE, b"ready")
        except (BaseError, OSError):
            return False
        return True


def stop_in_an_upload(
    program: str, *arguments: str | Path, number: signal.Signals = signal.SIGKILL
) -> int:
    """Run a program, and send it a signal after it has uploaded the first file of a run.

    Returns:
        The exit code; for a signal that ended it, the negative number of the signal.
    """
    with subprocess.Popen(
        [sys.executable, "-c", f"{_SLOW_UPLOADS}\n{program}", *arguments],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        errors="replace",
        encoding="utf-8",
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "uploaded\n"
        process.send_signal(number)
        return process.wait(60)


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Context manager that runs a server during the block."""
    server = S3Server(folder, _free_ports())
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_ports() -> int:
    """Return the first of four free ports in a row. The ports 10,000 above are free too."""
    # The order is random, because several servers may start at the same time.
    for first in random.sample(range(21000, 29000, 10), 800):
        wanted = [first + place + above for place in range(4) for above in (0, 10_000)]
        with_sockets = [socket.socket() for _ in wanted]
        try:
            for one, port in zip(with_sockets, wanted, strict=True):
                one.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for one in with_sockets:
                one.close()
        return first
    raise AssertionError("no free ports")
