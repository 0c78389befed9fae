"""`make bench`: what a build costs, beside the bare scan and a Polars job on the same files.

Each scale's figures replace those that benchmarks/results.json and the table of docs/speed.md hold
of it; README.md in this folder says what each is. A machine that has other work to do gives none.
"""

from __future__ import annotations

import argparse
import datetime
import filecmp
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from jobs import ROOT, Build, Job, build, run
from operators import slowest_operators
from rich.console import Console
from rich.table import Table

from value_props.resources import resolve
from value_props.sample.raw_files import write_sample

MEGABYTE = 1_000_000
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "speed.md"
# Between these two lines its table stands.
TABLE_BEGINS, TABLE_ENDS = "<!-- bench -->\n", "<!-- /bench -->\n"
HEADINGS = (
    "scale",
    "raw MB",
    "bare scan s",
    "Polars s",
    "build s",
    "build ÷ Polars",
    "SQL ÷ scan",
    "with features ÷ build",
    "peak MB",
    "spilled MB",
)
# Up to so many bytes of raw files each job runs three times.
REPEATED_UP_TO_BYTES = 1_500_000_000
# What other processes may take of the machine, and how far the bare scans before the other jobs
# and those after them may lie apart, by their medians.
MOST_BUSY, MOST_APART = 0.1, 0.2
# Every how many lines one is bad, in the files that fail the length proof.
BAD_LINE_EVERY = 10_000
VERSIONS = ("dbt-core", "dbt-duckdb", "duckdb", "polars")


@dataclass(frozen=True)
class Repeated:
    """Runs of one job, in any order."""

    jobs: list[Job]

    @property
    def median(self) -> Job:
        """The run that took the median of the seconds."""
        return sorted(self.jobs, key=lambda job: job.span.seconds)[len(self.jobs) // 2]

    @property
    def spread(self) -> float:
        """How much longer than the quickest the slowest took, as a share."""
        seconds = [job.span.seconds for job in self.jobs]
        return max(seconds) / min(seconds) - 1


def repeated(times: int, job: Callable[[], Job]) -> Repeated:
    """Run a job some times."""
    return Repeated([job() for _ in range(times)])


def measure(console: Console, raw_path: Path, scratch: Path) -> dict[str, Any]:
    """Run all the jobs on the files of a folder, and print what each of them took.

    Args:
        console: to print on.
        raw_path: folder of the raw files.
        scratch: a new folder.

    Returns:
        The figures: seconds, bytes, and ratios of seconds within this run.
    """
    _refuse_busy_machine()
    python = Path(sys.executable)
    raw_bytes = sum(path.stat().st_size for path in raw_path.iterdir())
    times = 3 if raw_bytes <= REPEATED_UP_TO_BYTES else 1
    # As many as the bare scan and the Polars job take.
    threads = os.cpu_count() or 1
    tiny_path = ROOT / "tests" / "fixtures" / "clean"

    def bare_scan() -> Job:
        out = emptied(scratch / "scan")
        return run([python, "benchmarks/bare_scan.py", "--raw", raw_path, "--out", out])

    def polars() -> Job:
        out = emptied(scratch / "polars")
        return run([python, "benchmarks/polars_job.py", "--raw", raw_path, "--out", out])

    console.print(f"Bare scan, ingestion, Polars job and builds, {times} of each …")
    if times > 1:
        # The first run of a job fetches its programs from the disk.
        bare_scan()
        polars()
    first_scans = repeated(times, bare_scan)
    plain = repeated(times, lambda: ingestion(raw_path, scratch / "plain"))
    spoil(raw_path, scratch / "spoilt")
    by_lines = repeated(times, lambda: ingestion(scratch / "spoilt", scratch / "by_lines"))
    shutil.rmtree(scratch / "spoilt")
    rival = repeated(times, polars)
    # The first build of an out path parses the whole project, which later ones do not.
    full = ("--full-refresh", "--make-current")
    build(tiny_path, scratch / "tiny", *full, threads=threads)
    tiny = repeated(times, lambda: build(tiny_path, scratch / "tiny", *full, threads=threads).job)
    build(tiny_path, scratch / "out", *full, threads=threads)
    builds = [build(raw_path, scratch / "out", *full, threads=threads) for _ in range(times)]
    jobs = Repeated([one.job for one in builds])
    serving = (*full, "--serving-features")
    build(tiny_path, scratch / "serving", *serving, threads=threads)
    with_features = repeated(
        times, lambda: build(raw_path, scratch / "serving", *serving, threads=threads).job
    )
    [whole] = [one for one in builds if one.job is jobs.median]
    # One node at a time, so that the seconds of a node are its own; --debug keeps what dbt says
    # of them. A project that is parsed for one thread is parsed again for two.
    one_by_one: dict[str, Any] = {"threads": threads, "node_threads": 1, "is_debug": True}
    split_tiny = build(tiny_path, scratch / "split", *full, **one_by_one)
    split = build(raw_path, scratch / "split", *full, **one_by_one)
    last_scans = repeated(times, bare_scan)
    scans = Repeated([*first_scans.jobs, *last_scans.jobs])

    if not filecmp.cmp(scratch / "polars/final.csv", scratch / "out/final.csv", shallow=False):
        sys.exit("the Polars job and the build disagree on final.csv")
    # What the nodes take beyond those of the small fixture.
    sql = {
        kind: split.node_seconds(kind) - split_tiny.node_seconds(kind) for kind in ("model", "test")
    }
    runs = {
        "bare_scan": scans,
        "ingestion": plain,
        "ingestion_with_a_bad_line_in_10000": by_lines,
        "polars": rival,
        "build": jobs,
        "build_with_features": with_features,
        "build_of_the_small_fixture": tiny,
    }
    console.print(_jobs_table(runs))
    console.print(_steps_table(whole, split, sql))
    models = {
        node["unique_id"].rpartition(".")[2]: node
        for node in split.nodes
        if node["unique_id"].startswith("model.")
    }
    slowest = sorted(models, key=lambda name: -models[name]["execution_time"])[:3]
    memory_limit = resolve().memory_limit
    bounds = {
        name: slowest_operators(
            scratch / "split/value_props.duckdb",
            models[name]["compiled_code"],
            threads,
            memory_limit,
        )
        for name in slowest
    }
    console.print(_bounds_table(bounds, models))
    seconds = {name: found.median.span.seconds for name, found in runs.items()}
    figures = {
        "raw_bytes": raw_bytes,
        "rows_in_mart": json.loads((scratch / "out/manifest.json").read_text(encoding="utf-8"))[
            "rows_in_mart"
        ],
        "memory_limit": memory_limit,
        "threads": threads,
        "runs": times,
        "seconds": {
            **{name: round(found, 2) for name, found in seconds.items()},
            "sql_of_models": round(sql["model"], 2),
            "sql_of_tests": round(sql["test"], 2),
        },
        "spread": {name: round(found.spread, 2) for name, found in runs.items()},
        "steps": whole.step_seconds,
        "models": {name: round(node["execution_time"], 2) for name, node in models.items()},
        "slowest_models": bounds,
        "peak_bytes": {name: found.median.peak() for name, found in runs.items()},
        "spilled_bytes": whole.job.spilled,
        "build_to_polars": round(seconds["build"] / seconds["polars"], 2),
        "ingestion_to_bare_scan": round(seconds["ingestion"] / seconds["bare_scan"], 2),
        "ingestion_with_a_bad_line_in_10000_to_bare_scan": round(
            seconds["ingestion_with_a_bad_line_in_10000"] / seconds["bare_scan"], 2
        ),
        "sql_to_bare_scan": round(sql["model"] / seconds["bare_scan"], 2),
        "build_with_features_to_build": round(seconds["build_with_features"] / seconds["build"], 2),
    }
    for kind in ("", "_with_a_bad_line_in_10000"):
        name = f"ingestion{kind}_to_bare_scan"
        console.print(f"{name.replace('_', ' ')}: {figures[name]:.1f}")
    console.print(f"SQL of all models ÷ bare scan: {figures['sql_to_bare_scan']:.1f}")
    console.print(f"Whole build ÷ Polars job: {figures['build_to_polars']:.1f}")
    console.print(
        f"Build with serving_features ÷ build: {figures['build_with_features_to_build']:.2f}"
    )
    console.print(f"Temporary files: {whole.job.spilled / MEGABYTE:,.0f} MB at most")
    apart = Repeated([first_scans.median, last_scans.median]).spread
    if apart > MOST_APART:
        sys.exit(f"The bare scans lie {apart:.0%} apart: the machine had other work to do")
    return figures


def markdown(figures: dict[str, dict[str, Any]]) -> str:
    """The table of docs/speed.md: a row a scale."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|--:" * len(HEADINGS) + "|"]
    for scale, found in figures.items():
        seconds = found["seconds"]
        cells = (
            scale,
            f"{found['raw_bytes'] / MEGABYTE:,.0f}",
            *(f"{seconds[name]:.1f}" for name in ("bare_scan", "polars", "build")),
            f"{found['build_to_polars']:.1f}",
            f"{found['sql_to_bare_scan']:.1f}",
            # Scales that were last measured before there were features have none.
            f"{ratio:.2f}" if (ratio := found.get("build_with_features_to_build")) else "",
            f"{found['peak_bytes']['build'] / MEGABYTE:,.0f}",
            f"{found['spilled_bytes'] / MEGABYTE:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write(figures: dict[str, dict[str, Any]]) -> None:
    """Keep the figures in results.json, with those of other scales, and in docs/speed.md."""
    known = json.loads(RESULTS.read_text(encoding="utf-8"))["scales"] if RESULTS.exists() else {}
    scales = dict(sorted({**known, **figures}.items(), key=lambda item: float(item[0])))
    RESULTS.write_text(json.dumps({"scales": scales}, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(TABLE_BEGINS)
    after = rest.partition(TABLE_ENDS)[2]
    PAGE.write_text(
        f"{before}{TABLE_BEGINS}{markdown(scales)}{TABLE_ENDS}{after}", encoding="utf-8"
    )


def machine() -> dict[str, Any]:
    """Where and when the figures were measured, and with what."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in VERSIONS},
        },
    }


def sample_of(console: Console, data: Path, scale: float) -> Path:
    """The folder of the sample data of a scale, written if it is not there."""
    raw_path = data / f"scale_{scale:g}"
    if not raw_path.is_dir():
        console.print(f"Writing sample data of scale {scale:g} to {raw_path} …")
        write_sample(raw_path, scale)
    return raw_path


def ingestion(raw_path: Path, folder: Path) -> Job:
    """Read the raw files into a new folder, and do nothing else."""
    program = "benchmarks/ingest_job.py"
    return run([Path(sys.executable), program, "--raw", raw_path, "--out", emptied(folder)])


def emptied(folder: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def spoil(raw_path: Path, folder: Path) -> None:
    """Copy raw files with a bad line here and there, so that each has to be read line by line."""
    folder.mkdir()
    for source in raw_path.glob("*s.*"):
        with source.open("rb") as lines, (folder / source.name).open("wb") as copy:
            for number, line in enumerate(lines):
                copy.write(b"{\n" if number % BAD_LINE_EVERY == BAD_LINE_EVERY - 1 else line)


def _refuse_busy_machine() -> None:
    busy = psutil.cpu_percent(interval=2) / 100
    if busy > MOST_BUSY:
        sys.exit(f"Other processes take {busy:.0%} of the machine: stop them, and measure again")


def _jobs_table(runs: Mapping[str, Repeated]) -> Table:
    table = Table("whole jobs: the median of the runs")
    for heading in ("seconds", "spread", "CPU seconds", "peak MB"):
        table.add_column(heading, justify="right")
    names = {
        "bare_scan": "bare typed scan",
        "ingestion": "ingestion: read, hash, prove and keep",
        "ingestion_with_a_bad_line_in_10000": "the same with a bad line in 10,000",
        "polars": "Polars job with its checks",
        "build": "value-props build",
        "build_with_features": "the same with --serving-features",
        "build_of_the_small_fixture": "fixed cost: value-props build of the small fixture",
    }
    for key, found in runs.items():
        table.add_row(
            names[key],
            f"{found.median.span.seconds:.1f}",
            f"{found.spread:.0%}",
            f"{found.median.cpu_seconds:.1f}",
            f"{found.median.peak() / MEGABYTE:,.0f}",
        )
    return table


def _steps_table(whole: Build, split: Build, sql: dict[str, float]) -> Table:
    """Where the seconds of a build go; those of its SQL from one that ran a node at a time."""
    table = Table("one build")
    for heading in ("seconds", "peak MB"):
        table.add_column(heading, justify="right")
    names = {
        "ingest": "read, hash, prove and keep the raw files, beside the parse",
        "parse": "dbt: start, and load the parsed project",
        "dbt": "dbt: models and tests, two at a time",
        "export": "export of final.csv and final.parquet",
    }
    for step, name in names.items():
        span = whole.steps[step]
        peak = whole.job.peak([span])
        table.add_row(name, f"{span.seconds:.1f}", f"{peak / MEGABYTE:,.0f}" if peak else "")
    took = whole.step_seconds
    # The raw files are read while dbt is loaded.
    told = max(took["ingest"], took["parse"]) + took["dbt"] + took["export"]
    others = whole.job.span.seconds - told
    table.add_row("all else: start of Python, gate, manifest, switch", f"{others:.1f}", "")
    for kind, seconds in sql.items():
        peak = split.job.peak(split.spans(kind))
        table.add_row(
            f"SQL of the {kind}s, one at a time", f"{seconds:.1f}", f"{peak / MEGABYTE:,.0f}"
        )
    return table


def _bounds_table(bounds: dict[str, list[dict[str, Any]]], models: dict[str, Any]) -> Table:
    table = Table(
        "slowest models after the parse", "seconds", "slowest operators: share of the model, rows"
    )
    for name, operators in bounds.items():
        told = "\n".join(
            f"{one['share']:.0%} {one['operator']} {one['rows']:,} {one['on'][:60]}"
            for one in operators
        )
        table.add_row(name, f"{models[name]['execution_time']:.1f}", told)
    return table


def main() -> None:
    """Make the data if it is not there, measure each scale, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scales", type=float, nargs="+", default=[0.1, 1, 10], help="times the public case"
    )
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "bench")
    arguments = parser.parse_args()
    console = Console(width=110)
    for scale in sorted(arguments.scales):
        raw_path = sample_of(console, arguments.data, scale)
        size = sum(path.stat().st_size for path in raw_path.iterdir())
        console.rule(f"Scale {scale:g}: {raw_path}, {size / MEGABYTE:,.0f} MB")
        scratch = Path(tempfile.mkdtemp(prefix="bench_", dir=arguments.data))
        try:
            figures = {**machine(), **measure(console, raw_path, scratch)}
        finally:
            shutil.rmtree(scratch)
        write({f"{scale:g}": figures})


if __name__ == "__main__":
    main()
