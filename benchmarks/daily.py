"""`make bench-daily`: what the run that adds one day costs, beside one that reads everything.

A sample is split into a file a source and day. What comes before its 30 days are the same rows,
30, 60 or 90 days older. For each length of history all days but the last are built, then the
last is added, then all are read again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from bench import machine, sample_of
from jobs import ROOT, Build, build
from rich.console import Console
from rich.table import Table

from value_props.ingest.keep import SETTLED_NANOSECONDS

RESULTS = ROOT / "benchmarks" / "daily.json"
FIRST_DAY, DAYS = datetime.date(2020, 11, 1), 30
HEADER = "pay_date,total,user_id,value_prop\n"
# Where a line has its day.
PLACES = {"prints.json": 8, "taps.json": 8, "pays.csv": 0}


def split(sample: Path, folder: Path, months: int) -> None:
    """Write the sample's rows as a file a source and day, and again for each earlier month.

    Raises:
        ValueError: a line has its day in another place.
    """
    last = FIRST_DAY + datetime.timedelta(DAYS - 1)
    for name, place in PLACES.items():
        source, _, ending = name.partition(".")
        lines: dict[str, list[str]] = {}
        with (sample / name).open(encoding="utf-8") as rows:
            for row in rows:
                if row != HEADER:
                    lines.setdefault(row[place : place + 10], []).append(row)
        for text, found in lines.items():
            day = datetime.date.fromisoformat(text)
            if not FIRST_DAY <= day <= last:
                raise ValueError(f"{name} has a row of {day}")
            for month in range(months):
                moved = (day - datetime.timedelta(DAYS * month)).isoformat()
                with (folder / f"{source}_{moved}.{ending}").open("w", encoding="utf-8") as file:
                    file.write(HEADER if ending == "csv" else "")
                    file.writelines(f"{row[:place]}{moved}{row[place + 10 :]}" for row in found)


def measure(files: Path, scratch: Path, days: int) -> dict[str, Build]:
    """Build all days but the last, all of them, and all of them from nothing."""
    raw_path = scratch / f"raw_{days}"
    raw_path.mkdir()

    def deliver(day: datetime.date) -> None:
        for path in files.glob(f"*_{day.isoformat()}.*"):
            (raw_path / path.name).hardlink_to(path)

    last = FIRST_DAY + datetime.timedelta(DAYS - 1)
    for back in range(1, days):
        deliver(last - datetime.timedelta(back))
    # A file that was linked just now counts as one that may still be written to.
    time.sleep(SETTLED_NANOSECONDS / 1e9 + 1)
    out_path, threads = scratch / f"out_{days}", os.cpu_count() or 1
    # What the rows are is not measured here: the last day may be missing.
    build(raw_path, out_path, "--as-of", last.isoformat(), "--allow-incomplete", threads=threads)
    deliver(last)
    found = {}
    for name, options in {"one day more": (), "full refresh": ("--full-refresh",)}.items():
        given = ("--as-of", last.isoformat(), "--allow-incomplete", *options)
        found[name] = build(raw_path, out_path, *given, threads=threads)
    shutil.rmtree(out_path)
    return found


def main() -> None:
    """Make the files, measure both lengths of history, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scale", type=float, default=10, help="times the public case, of each 30 days"
    )
    parser.add_argument("--days", type=int, nargs="+", default=[60, 120], help="of history")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "bench")
    arguments = parser.parse_args()
    console = Console(width=110)
    sample = sample_of(console, arguments.data, arguments.scale)
    scratch = Path(tempfile.mkdtemp(prefix="daily_", dir=arguments.data))
    try:
        files = scratch / "files"
        files.mkdir()
        split(sample, files, -(-max(arguments.days) // DAYS))
        builds = {days: measure(files, scratch, days) for days in arguments.days}
    finally:
        shutil.rmtree(scratch)
    console.print(_table(builds))
    figures = {
        str(days): {
            name: {
                "seconds": round(one.job.span.seconds, 2),
                "cpu_seconds": round(one.job.cpu_seconds, 2),
                "steps": one.step_seconds,
            }
            for name, one in found.items()
        }
        for days, found in builds.items()
    }
    RESULTS.write_text(
        json.dumps({**machine(), "scale": arguments.scale, "days": figures}, indent=1) + "\n",
        encoding="utf-8",
    )


def _table(builds: dict[int, dict[str, Build]]) -> Table:
    table = Table("days of history")
    steps = ("parse", "dbt", "export")
    for heading in ("run", "seconds", "of a full refresh", *steps):
        table.add_column(heading, justify="right")
    for days, found in builds.items():
        full = found["full refresh"].job.span.seconds
        for name, one in found.items():
            table.add_row(
                str(days),
                name,
                f"{one.job.span.seconds:.1f}",
                f"{one.job.span.seconds / full:.0%}",
                *(f"{one.steps[step].seconds:.1f}" for step in steps),
            )
    return table


if __name__ == "__main__":
    main()
