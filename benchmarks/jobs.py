"""Runs a job in a process of its own, and follows what it takes.

Its resident memory, with that of its children, and the size of its temporary files are sampled
all along, so that the peak of each step is known as well as that of the whole.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.1
# A line of run.log that ends a step.
STEP = re.compile(r"(?P<moment>\S+) INFO step=(?P<name>\w+) seconds=(?P<seconds>[\d.]+)")


@dataclass(frozen=True)
class Span:
    """From one moment to another, seconds since the epoch."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


@dataclass(frozen=True)
class Sample:
    """What a job held at one moment.

    Args:
        moment: seconds since the epoch.
        resident: bytes of memory, of the process and its children.
        spilled: bytes of temporary files.
    """

    moment: float
    resident: int
    spilled: int


@dataclass
class Job:
    """A finished process.

    Args:
        span: from its start to its end.
        cpu_seconds: of it and its children.
        samples: in the order of their moments.
    """

    span: Span
    cpu_seconds: float
    samples: list[Sample] = field(repr=False)

    def peak(self, spans: Iterable[Span] = ()) -> int:
        """The most resident bytes within the spans; 0 where none was long enough to be seen."""
        wanted = list(spans) or [self.span]
        return max(
            (
                sample.resident
                for sample in self.samples
                if any(span.start <= sample.moment <= span.end for span in wanted)
            ),
            default=0,
        )

    @property
    def spilled(self) -> int:
        """The most bytes that lay in temporary files at one moment."""
        return max((sample.spilled for sample in self.samples), default=0)


@dataclass(frozen=True)
class Build:
    """A finished `value-props build`.

    Args:
        job: its process.
        steps: of run.log, by name.
        nodes: what dbt wrote of each node, in run_results.json; empty where it was not asked for.
    """

    job: Job
    steps: dict[str, Span]
    nodes: list[dict[str, Any]]

    @property
    def step_seconds(self) -> dict[str, float]:
        """Of each step, by name."""
        return {name: round(span.seconds, 2) for name, span in self.steps.items()}

    def spans(self, kind: str) -> list[Span]:
        """When the nodes of a kind were compiled and run."""
        return [
            Span(moment_of(timing["started_at"]), moment_of(timing["completed_at"]))
            for node in self.nodes
            if node["unique_id"].startswith(f"{kind}.")
            for timing in node["timing"]
        ]

    def node_seconds(self, kind: str) -> float:
        """Seconds of all nodes of a kind."""
        return sum(span.seconds for span in self.spans(kind))


def run(command: Sequence[str | Path], temp_dir: Path | None = None, **environment: str) -> Job:
    """Run a command in the project's root and follow it.

    Args:
        command: program and arguments.
        temp_dir: where it leaves temporary files while it runs.
        environment: variables beside those of this process.

    Raises:
        SystemExit: it failed; what it said is on stderr.
    """
    usage = os.times()
    start = time.time()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=said,
            stderr=said,
        )
        samples: list[Sample] = []
        sampler = threading.Thread(target=_follow, args=(process, temp_dir, samples))
        sampler.start()
        code = process.wait()
        end = time.time()
        sampler.join()
        if code:
            said.seek(0)
            sys.exit(f"{said.read()}\n{command[0]} failed with exit code {code}")
    after = os.times()
    cpu_seconds = (
        after.children_user - usage.children_user + after.children_system - usage.children_system
    )
    return Job(Span(start, end), cpu_seconds, samples)


def build(
    raw_path: Path,
    out_path: Path,
    *options: str,
    threads: int,
    node_threads: int = 2,
    is_debug: bool = False,
) -> Build:
    """Build and publish once.

    Args:
        raw_path: folder of the raw files.
        out_path: the parsed project and the parsed files may be those of an earlier build.
        options: of `value-props build`.
        threads: of DuckDB.
        node_threads: how many nodes dbt runs at a time.
        is_debug: dbt leaves what it says of each node.
    """
    temp_dir = out_path.with_name(f"{out_path.name}_temp")
    debug = ["--debug"] if is_debug else []
    command: list[str | Path] = [Path(sys.executable).with_name("value-props"), *debug, "build"]
    job = run(
        [*command, "--raw", raw_path, "--out", out_path, "--temp-dir", temp_dir, *options],
        temp_dir,
        VALUE_PROPS_NODE_THREADS=str(node_threads),
        VALUE_PROPS_THREADS=str(threads),
    )
    steps = {}
    for line in (out_path / "current" / "run.log").read_text(encoding="utf-8").splitlines():
        if match := STEP.match(line):
            end = moment_of(match["moment"])
            steps[match["name"]] = Span(end - float(match["seconds"]), end)
    if not is_debug:
        return Build(job, steps, [])
    results = json.loads((out_path / ".cache/dbt/run_results.json").read_text(encoding="utf-8"))
    return Build(job, steps, results["results"])


def moment_of(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 timestamp."""
    return datetime.datetime.fromisoformat(text).timestamp()


def _follow(process: subprocess.Popen[bytes], temp_dir: Path | None, samples: list[Sample]) -> None:
    root = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.Error):
            family = [root, *root.children(recursive=True)]
            resident = sum(one.memory_info().rss for one in family)
            samples.append(Sample(time.time(), resident, _size_of(temp_dir)))
        time.sleep(SAMPLE_SECONDS)


def _size_of(folder: Path | None) -> int:
    size = 0
    for path in folder.rglob("*") if folder else ():
        # DuckDB removes its files as it goes.
        with suppress(OSError):
            size += path.lstat().st_blocks * 512
    return size
