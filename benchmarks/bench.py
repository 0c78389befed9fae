"""`make bench`: what a build costs, beside the bare scan and a Polars job on the same files.

Every job runs in a process of its own. Its resident memory, with that of its children, is
sampled all along, so that the peak of each step is known as well as that of the whole.
"""

from __future__ import annotations

import argparse
import datetime
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from value_props.sample import write_sample

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.02
MEGABYTE = 1_000_000
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


@dataclass
class Job:
    """A finished process.

    Args:
        span: from its start to its end.
        cpu_seconds: of it and its children.
        samples: (moment, resident bytes of it and its children).
    """

    span: Span
    cpu_seconds: float
    samples: list[tuple[float, int]] = field(repr=False)

    def peak(self, spans: Iterable[Span] = ()) -> int:
        """The most resident bytes within the spans; 0 where none was long enough to be seen."""
        wanted = list(spans) or [self.span]
        return max(
            (
                size
                for moment, size in self.samples
                if any(span.start <= moment <= span.end for span in wanted)
            ),
            default=0,
        )


@dataclass(frozen=True)
class Build:
    """A finished `value-props build`: its job, its steps by name, and dbt's nodes by kind."""

    job: Job
    steps: dict[str, Span]
    nodes: dict[str, list[Span]]

    def node_seconds(self, kind: str) -> float:
        """Seconds of all nodes of a kind."""
        return sum(span.seconds for span in self.nodes.get(kind, []))


def run(command: Sequence[str | Path], **environment: str) -> Job:
    """Run a command in the project's root and follow it.

    Raises:
        SystemExit: it failed; what it said is on stderr.
    """
    usage = os.times()
    start = time.time()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=said,
            stderr=said,
        )
        samples: list[tuple[float, int]] = []
        sampler = threading.Thread(target=_sample, args=(process, samples))
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


def build(raw_path: Path, out_path: Path, node_threads: int) -> Build:
    """Build and publish once, reading all raw files; the parsed project may be an earlier one."""
    job = run(
        [_script("value-props"), "build", "--raw", raw_path, "--out", out_path, "--full-refresh"],
        VALUE_PROPS_NODE_THREADS=str(node_threads),
        # As many as the bare scan and the Polars job take.
        VALUE_PROPS_THREADS=str(os.cpu_count()),
    )
    steps = {}
    for line in (out_path / "current" / "run.log").read_text().splitlines():
        if match := STEP.match(line):
            end = _moment(match["moment"])
            steps[match["name"]] = Span(end - float(match["seconds"]), end)
    results = json.loads((out_path / ".cache/dbt/run_results.json").read_text())["results"]
    nodes: dict[str, list[Span]] = {}
    for result in results:
        kind = result["unique_id"].partition(".")[0]
        nodes.setdefault(kind, []).extend(
            Span(_moment(timing["started_at"]), _moment(timing["completed_at"]))
            for timing in result["timing"]
        )
    return Build(job, steps, nodes)


def report(console: Console, raw_path: Path, scratch: Path) -> None:
    """Run all the jobs on the files of a folder, and print what each of them took."""
    python = Path(sys.executable)
    for name in ("scan", "polars"):
        (scratch / name).mkdir()
    tiny_path = ROOT / "tests" / "fixtures" / "clean"

    console.print("Bare scan, Polars job, then five builds …")
    scan = run([python, "benchmarks/bare_scan.py", "--raw", raw_path, "--out", scratch / "scan"])
    rival = run(
        [python, "benchmarks/polars_job.py", "--raw", raw_path, "--out", scratch / "polars"]
    )
    # The first build of an out path parses the whole project, which later ones do not.
    build(tiny_path, scratch / "tiny", 1)
    tiny = build(tiny_path, scratch / "tiny", 1)
    build(raw_path, scratch / "out", 2)
    # One node at a time, so that the seconds of a node are its own.
    split = build(raw_path, scratch / "out", 1)
    whole = build(raw_path, scratch / "out", 2)

    if not filecmp.cmp(scratch / "polars/final.csv", scratch / "out/final.csv", shallow=False):
        sys.exit("the Polars job and the build disagree on final.csv")
    console.print(_table(scan, rival, whole.job, tiny.job))
    # What the nodes take beyond those of the small fixture.
    sql = {kind: split.node_seconds(kind) - tiny.node_seconds(kind) for kind in ("model", "test")}
    console.print(_steps(split, sql))
    console.print(f"SQL of all models ÷ bare scan: {sql['model'] / scan.span.seconds:.1f}")
    console.print(f"Whole build ÷ Polars job: {whole.job.span.seconds / rival.span.seconds:.1f}")


def _table(scan: Job, rival: Job, whole: Job, tiny: Job) -> Table:
    table = Table("whole jobs")
    for heading in ("seconds", "CPU seconds", "peak MB"):
        table.add_column(heading, justify="right")
    for name, job in {
        "bare typed scan": scan,
        "Polars job with its checks": rival,
        "value-props build": whole,
        "fixed cost: value-props build of the small fixture": tiny,
    }.items():
        table.add_row(
            name,
            f"{job.span.seconds:.1f}",
            f"{job.cpu_seconds:.1f}",
            f"{job.peak() / MEGABYTE:,.0f}",
        )
    return table


def _steps(split: Build, sql: dict[str, float]) -> Table:
    """Where the seconds of a build go, with those of its SQL by kind of node."""
    table = Table("one build, one node at a time")
    for heading in ("seconds", "peak MB"):
        table.add_column(heading, justify="right")

    def add(name: str, seconds: float, spans: list[Span]) -> None:
        peak = split.job.peak(spans) if spans else 0
        table.add_row(name, f"{seconds:.1f}", f"{peak / MEGABYTE:,.0f}" if peak else "")

    steps = split.steps
    add(
        "hash and count the raw files, beside the parse",
        steps["inspect"].seconds,
        [steps["inspect"]],
    )
    add("dbt: start, and load the parsed project", steps["parse"].seconds, [steps["parse"]])
    for kind, seconds in sql.items():
        add(f"dbt: SQL of the {kind}s", seconds, split.nodes[kind])
    add("dbt: its own work for each node", steps["dbt"].seconds - sum(sql.values()), [])
    add("export of final.csv and final.parquet", steps["export"].seconds, [steps["export"]])
    others = split.job.span.seconds - sum(
        steps[name].seconds for name in ("parse", "dbt", "export")
    )
    add("all else: start of Python, gate, manifest, switch", others, [])
    add("sum", split.job.span.seconds, [split.job.span])
    return table


def _sample(process: subprocess.Popen[bytes], samples: list[tuple[float, int]]) -> None:
    root = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            family = [root, *root.children(recursive=True)]
            samples.append((time.time(), sum(one.memory_info().rss for one in family)))
        except psutil.Error:
            continue
        time.sleep(SAMPLE_SECONDS)


def _moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def _script(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def main() -> None:
    """Make the data if it is not there, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=10, help="times the public case")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "bench")
    arguments = parser.parse_args()
    raw_path = arguments.data / f"scale_{arguments.scale:g}"
    console = Console(width=100)
    if not raw_path.is_dir():
        console.print(f"Writing sample data of scale {arguments.scale:g} to {raw_path} …")
        write_sample(raw_path, arguments.scale)
    size = sum(path.stat().st_size for path in raw_path.iterdir())
    console.print(f"Raw data: {raw_path}, {size / MEGABYTE:,.0f} MB")
    scratch = Path(tempfile.mkdtemp(prefix="bench_", dir=arguments.data))
    try:
        report(console, raw_path, scratch)
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
