"""Readers find the files of one run while others are published, and keep no run from its end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from support.attacks import RUN_DATE, assert_whole, build_whole, dose, record, variant
from support.command_process import Started
from support.harness import published_rows

PUBLISHES = dose(2, 200)
READS = """
import csv, hashlib, json, sys
from pathlib import Path
import duckdb

out, kind, expected = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
MART = "select cast(sum(prior_amount) as varchar) from "


def in_database():
    # The last run of the file is its own, and its raw files give its amount.
    with duckdb.connect(str(out / "value_props.duckdb"), read_only=True) as file:
        [(raw,)] = file.execute("select max_by(raw_path, run_id) from quality.runs").fetchall()
        [(found,)] = file.execute(MART + "marts.fct_prints").fetchall()
    return found == expected[raw]


def in_parquet():
    # A folder of the path may be named as a partition: value_prop=x.
    mart = MART + "read_parquet(?, hive_partitioning = false)"
    return duckdb.execute(mart, [f"{out}/final.parquet"]).fetchone()[0] in expected.values()


def in_csv():
    with (out / "final.csv").open(encoding="utf-8") as file:
        found = sum(round(float(row["prior_amount"]) * 100) for row in csv.DictReader(file))
    return f"{found // 100}.{found % 100:02}" in expected.values()


def in_one_folder():
    folder = (out / "current").resolve()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return all(
        hashlib.sha256((folder / file["name"]).read_bytes()).hexdigest() == file["sha256"]
        for file in manifest["outputs"]
    )


def by_stable_names():
    def manifest():
        return json.loads((out / "manifest.json").read_text(encoding="utf-8"))

    before = manifest()
    found = {
        file["name"]: hashlib.sha256((out / file["name"]).read_bytes()).hexdigest()
        for file in before["outputs"]
    }
    if manifest()["run_id"] != before["run_id"]:
        return True
    return all(found[file["name"]] == file["sha256"] for file in before["outputs"])


held = duckdb.connect(str(out / "value_props.duckdb"), read_only=True) if kind == "held" else None


def in_held_file():
    return held.execute(MART + "marts.fct_prints").fetchone()[0] == expected[sys.argv[4]]


read = {
    "database": in_database, "parquet": in_parquet, "csv": in_csv, "folder": in_one_folder,
    "names": by_stable_names, "held": in_held_file,
}[kind]
reads = 0
while not Path(sys.argv[5]).exists():
    assert read(), "files of two runs"
    reads += 1
print(reads)
"""
KINDS = ("database", "parquet", "csv", "folder", "names", "held")


def amount_of(out: Path) -> str:
    [(found,)] = published_rows(out, "select sum(prior_amount) from marts.fct_prints")
    return str(found)


def size_of(folder: Path) -> tuple[int, int]:
    """Files below a folder, and their bytes."""
    sizes = [path.lstat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def test_readers_see_whole_runs_while_runs_are_published(tmp_path: Path) -> None:
    out, stop = tmp_path / "out", tmp_path / "stop"
    raws = [variant(tmp_path / f"raw_{number}", number) for number in (0, 1)]
    expected: dict[str, str] = {}

    def publish(number: int) -> float:
        begun = time.monotonic()
        build_whole(out, raws[number % 2])
        return time.monotonic() - begun

    for number in (0, 1):
        publish(number)
        expected[str(raws[number])] = amount_of(out)
    assert len(set(expected.values())) == 2
    readers = {
        kind: subprocess.Popen(
            [
                *(sys.executable, "-c", READS, str(out), kind, json.dumps(expected)),
                *(str(raws[1]), str(stop)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        for kind in KINDS
    }
    sizes, seconds = {}, {}
    for number in range(PUBLISHES):
        if number == 50:
            # The rest is about what 200 runs leave in one folder, and need not be read.
            stop.touch()
        took = publish(number)
        if number in (10, PUBLISHES - 1):
            sizes[number], seconds[number] = size_of(out), round(took, 1)
    stop.touch()
    reads = {}
    for kind, reader in readers.items():
        said, fault = reader.communicate(timeout=120)
        assert reader.returncode == 0, (kind, fault)
        reads[kind] = int(said)
    assert all(reads.values())
    records, _ = size_of(out / "quality")
    runs, _ = size_of(out / "runs")
    grown = {
        f"after {number} runs": f"{count} files, {size >> 20} MB, {seconds[number]} s a run"
        for number, (count, size) in sizes.items()
    }
    record("readers", publishes=PUBLISHES, reads=reads, **grown)
    # Of a run only its record stays, with one file a table, and two of its report.
    assert runs <= 10 * 7
    assert records <= (PUBLISHES + 2) * 9


def test_a_shell_that_opens_the_published_file_for_writing_stops_no_run(tmp_path: Path) -> None:
    out, raw = tmp_path / "out", variant(tmp_path / "raw", 0)
    build_whole(out, raw)
    (out / "value_props.duckdb").resolve().chmod(0o644)
    shell = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import duckdb, sys, time\n"
            "file = duckdb.connect(sys.argv[1])\n"
            "file.execute('create table mine as select 1 as one')\n"
            "print('open', flush=True); time.sleep(120)",
            str(out / "value_props.duckdb"),
        ],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    assert shell.stdout
    assert shell.stdout.readline() == "open\n"
    try:
        build_whole(out, raw)
    finally:
        shell.kill()
        shell.wait()


def test_of_runs_at_the_same_time_one_publishes_and_the_others_are_told(tmp_path: Path) -> None:
    out, raw = tmp_path / "out", variant(tmp_path / "raw", 0)
    started = [
        Started(("build", "--raw", raw, "--out", out, *RUN_DATE), tmp_path / f"said_{number}")
        for number in range(3)
    ]
    codes = [each.wait() for each in started]
    assert sorted(codes) == [0, 3, 3], [each.said for each in started]
    assert_whole(out)
