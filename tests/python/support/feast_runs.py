"""Refresh Feast and ask it, in folders of a test and in the venv of Feast."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from support.harness import ROOT

FOLDER = ROOT / "orchestration" / "feast"
PYTHON = ROOT / ".venv-feast" / "bin" / "python"
SERVICE = Path(__file__).with_name("feast_service.py")
FEATURES = ("prior_views", "prior_clicks", "prior_payments", "prior_amount")
# Runs a script, and ends it when it listens, opens a connection or looks up a host. A mere bind is
# allowed: urllib3 tries one when it is imported, to see whether the machine has IPv6.
WITHOUT_NETWORK = """
import os, runpy, socket, sys

def refuse(*what):
    os.write(2, f"network: {what}".encode())
    os._exit(97)

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        refuse(event, arguments)

sys.addaudithook(watch)
socket.socket.listen = refuse
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
Row = dict[str, Any]


@dataclass(frozen=True)
class FeastProject:
    """A copy of the Feast repository, so that its state is not that of this project.

    Args:
        folder: stands for the folder of this project. It gets a copy if it has none.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not self.repository.exists():
            without_cache = shutil.ignore_patterns("__pycache__")
            shutil.copytree(FOLDER, self.repository, ignore=without_cache)

    @property
    def repository(self) -> Path:
        """The folder that a service opens."""
        return self.folder / "orchestration" / "feast"

    @property
    def state(self) -> Path:
        """The folder of the registry and the online store."""
        return self.folder / "data" / "feast"

    def start(self, script: Path, *arguments: Path, **variables: str) -> subprocess.Popen[bytes]:
        """Start a script in the venv of Feast: far from its folder, in another time zone."""
        environ = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables}
        return subprocess.Popen(
            [PYTHON, "-W", "ignore", "-c", WITHOUT_NETWORK, script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"TZ": "America/Lima", **environ},
        )

    def start_refresh(self, features: Path | str = "") -> subprocess.Popen[bytes]:
        """Start a refresh; `features` is VALUE_PROPS_FEATURES."""
        return self.start(
            self.repository / "refresh.py", VALUE_PROPS_FEATURES=str(features), TZ="Asia/Tokyo"
        )

    def refresh(self, features: Path | str = "", exit_code: int = 0) -> str:
        """Refresh, assert the exit code, and return the output."""
        process = self.start_refresh(features)
        output, errors = process.communicate(timeout=300)
        text = (output + errors).decode()
        assert process.returncode == exit_code, text
        return text

    @contextmanager
    def service(self) -> Iterator[FeastService]:
        """A ranking service that has opened the repository."""
        with self.start(SERVICE, self.repository) as process:
            yield FeastService(process)
            assert process.stdin
            process.stdin.close()


@dataclass(frozen=True)
class FeastService:
    """A running feast_service.py.

    Args:
        process: its process.
    """

    process: subprocess.Popen[bytes]

    def ask(self, question: str, rows: Sequence[Row] = ()) -> Any:
        """Return the answer, by a function of feast_service.py.

        Raises:
            ValueError: Feast raised one.
        """
        assert self.process.stdin
        assert self.process.stdout
        assert self.process.stderr
        self.process.stdin.write(json.dumps({"ask": question, "rows": list(rows)}).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode()
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["found"]

    def online(self, keys: Sequence[tuple[int, str]]) -> list[tuple[Any, ...]]:
        """Return the four features of each user and value prop from the online store."""
        rows = [{"user_id": user_id, "value_prop": name} for user_id, name in keys]
        plain, full = self.ask("online", rows)
        for name in FEATURES:
            assert full[f"user_features_or_zero__{name}"] == plain[name]
        return list(zip(*(plain[name] for name in FEATURES), strict=True))

    def on_days(self, key: tuple[int, str], days: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return the four features of a user and value prop as of each day."""
        rows = [
            {"user_id": key[0], "value_prop": key[1], "event_timestamp": str(day), "place": place}
            for place, day in enumerate(days)
        ]
        found = {row["place"]: row for row in self.ask("historical", rows)}
        return [tuple(found[place][name] for name in FEATURES) for place in range(len(days))]


def features_of(out: Path) -> dict[tuple[int, str], tuple[Any, ...]]:
    """Return the four features in features.parquet, by user and value prop."""
    rows = duckdb.read_parquet(str(out / "features.parquet"), hive_partitioning=False).fetchall()
    return {(user_id, name): tuple(values) for _, user_id, name, *values in rows}


def as_served(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return four features as Feast returns them: the amount is a float."""
    return (*values[:3], float(values[3]))
