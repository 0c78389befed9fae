"""Runs that read only what is new give what a full refresh gives."""

from __future__ import annotations

import _thread
import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from threading import Event, Timer
from typing import Any

import duckdb
import pytest
from support.harness import CLEAN, COMMAND, DIRTY, ROOT, RUN_DATE, Pipeline, build, manifest_of

from value_props.errors import ValuePropsError
from value_props.ingest import Trust, ingest, keep, read, reading, together
from value_props.ingest.keep import ParsedFiles

HEADER = "pay_date,total,user_id,value_prop"
BAD = {"json": '{"day":"2020-11-20"', "csv": "2020-11-20,1.00,,point"}
# Valid for a run of a later day only.
LATE = {
    "json": '{"day":"2020-12-09","event_data":{"position":0,"value_prop":"point"},"user_id":7}',
    "csv": "2020-12-09,5.5,7,point",
}


@pytest.fixture(autouse=True)
def _two_are_read_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "FEWEST", 2)


def daily_files() -> dict[str, list[str]]:
    """The lines of the clean fixture by file, one file a source and five days."""
    files: dict[str, list[str]] = {}
    for source, ending in (("prints", "json"), ("taps", "json"), ("pays", "csv")):
        for line in (CLEAN / f"{source}.{ending}").read_text(encoding="utf-8").splitlines():
            if line == HEADER:
                continue
            day = line[:10] if ending == "csv" else line[8:18]
            files.setdefault(f"{source}_{(int(day[-2:]) - 1) // 5}.{ending}", []).append(line)
    return files


def write(folder: Path, name: str, lines: list[str]) -> None:
    text = [HEADER, *lines] if name.endswith("csv") else lines
    (folder / name).write_text("\n".join(text) + "\n", encoding="utf-8")


def change(draw: random.Random, files: dict[str, list[str]], spare: dict[str, list[str]]) -> None:
    """Add, change or remove a file, or deliver rows again."""
    name = draw.choice(sorted(files))
    ending = name.rpartition(".")[2]
    kind = draw.choice(("add", "change", "remove", "redeliver", "late", "nothing"))
    if kind == "add" and spare:
        added = draw.choice(sorted(spare))
        files[added] = spare.pop(added)
    elif kind == "change":
        files[name] = [*files[name][: draw.randrange(1, 20)], BAD[ending]]
    elif kind == "remove" and sum(other[:4] == name[:4] for other in files) > 1:
        spare[name] = files.pop(name)
    elif kind == "redeliver":
        # Before and after the first delivery, in the order of names.
        again = f"{name.partition('_')[0]}_{draw.choice('!~')}.{ending}"
        files[again] = [*files[name][:15], f"{files[name][0]} ", LATE[ending]]
    elif kind == "late":
        files[name] = [*files[name], LATE[ending]]


def result(pipeline: Pipeline) -> dict[str, Any]:
    queries = {
        "quarantine": "from quality.quarantined_rows",
        "reconciliation": "from quality.row_reconciliation",
        "drift": "from quality.schema_drift",
        "weeks": "from marts.fct_value_prop_weeks",
        "positions": "from marts.fct_position_weeks",
        "counts": "from staging.stg_row_counts",
    }
    found = {name: pipeline.query(f"{sql} order by all") for name, sql in queries.items()}
    return {**found, "mart": pipeline.mart()}


def kill_a_build(raw: Path, store: ParsedFiles, seconds: float) -> None:
    """Build beside the parsed files, and kill it some time after it began to parse."""
    command = [*COMMAND, "build", f"--raw={raw}", f"--out={store.root.parent}"]
    known = set(store.folder.rglob("*.parquet*"))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while set(store.folder.rglob("*.parquet*")) <= known:
            assert process.poll() is None, "the build ended and parsed nothing"
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()


def test_any_changes_give_what_a_full_refresh_gives(pipeline: Pipeline, tmp_path: Path) -> None:
    draw = random.Random(2)
    spare = daily_files()
    files = {name: spare.pop(name) for name in sorted(spare) if draw.random() < 0.7}
    for source, ending in (("prints", "json"), ("taps", "json"), ("pays", "csv")):
        name = f"{source}_3.{ending}"
        files[name] = files.get(name) or spare.pop(name)
    kept = pipeline.parsed = ParsedFiles(tmp_path / "out" / "parsed")
    for number in range(5):
        if number == 3:
            # A file a source that no run has read, for the run that is killed.
            for source, ending in (("prints", "json"), ("taps", "json"), ("pays", "csv")):
                files[f"{source}_new.{ending}"] = [*files[f"{source}_3.{ending}"][:20], BAD[ending]]
        shutil.rmtree(pipeline.raw_path)
        pipeline.raw_path.mkdir()
        for name, lines in files.items():
            write(pipeline.raw_path, name, lines)
        if number == 3:
            kill_a_build(pipeline.raw_path, kept, draw.uniform(0, 0.4))
        # What one run rejects as too late, another accepts.
        run_vars = {"run_date": draw.choice(("2020-12-01", "2020-12-08"))}
        pipeline.run(run_vars)
        incremental = result(pipeline)
        pipeline.parsed = ParsedFiles(tmp_path / f"fresh_{number}")
        pipeline.run(run_vars)
        pipeline.parsed = kept
        assert incremental == result(pipeline)
        change(draw, files, spare)


def test_counts_are_those_of_the_rows(pipeline: Pipeline) -> None:
    for name, lines in daily_files().items():
        ending = name.rpartition(".")[2]
        write(pipeline.raw_path, name, [*lines, lines[0], BAD[ending], LATE[ending]])
    pipeline.run({"run_date": RUN_DATE})
    columns = "file_number, null, count(*), "
    for source, amount in (("prints", "0.00"), ("taps", "0.00"), ("pays", "sum(amount)")):
        rows = pipeline.query(
            f"select {columns} {amount} from staging.base_{source} as base"
            " anti join (from staging.base_redeliveries"
            f" where source_name = '{source}') as redelivered using (file_number, line_number)"
            " group by all order by all"
        )
        counts = pipeline.query(
            "select file_number, null, sum(row_count), sum(amount)"
            f" from staging.stg_row_counts where source_name = '{source}'"
            " and quarantine_reason is null group by all order by all"
        )
        assert [tuple(map(str, row)) for row in rows] == [tuple(map(str, row)) for row in counts]


def test_only_new_and_changed_files_are_read(raw: Path, store: ParsedFiles) -> None:
    first = ingest(raw, store)
    assert [file.is_parsed_now for file in first.files] == [True, True, True]
    second = ingest(raw, store)
    assert [file.is_read for file in second.files] == [False, False, False]
    assert [file.facts for file in second.files] == [file.facts for file in first.files]
    assert [file.content for file in second.files] == [file.content for file in first.files]
    # The same size and the same time of modification, but other bytes.
    taps = raw / "taps.json"
    status = taps.stat()
    taps.write_bytes(taps.read_bytes().replace(b'"position":0', b'"position":1', 1))
    os.utime(taps, ns=(status.st_atime_ns, status.st_mtime_ns))
    third = ingest(raw, store)
    assert [file.is_read for file in third.files] == [False, True, False]
    assert [file.is_parsed_now for file in third.files] == [False, True, False]
    # The bytes of before under another name are hashed, and not parsed.
    (raw / "prints.json").rename(raw / "prints_2.json")
    fourth = ingest(raw, store)
    assert [file.is_read for file in fourth.files] == [True, False, False]
    assert not any(file.is_parsed_now for file in fourth.files)
    assert not list(store.folder.rglob("*.unfinished*"))


def held_by(path: Path) -> Any:
    """What a file of the store holds: rows, or what is known of its contents."""
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))["contents"]
    with duckdb.connect() as connection:
        return connection.execute("from read_parquet(?) order by all", [str(path)]).fetchall()


@pytest.mark.parametrize(
    "part", ["parquet", "rejected.parquet", "unusual.parquet", "counts.parquet", "json"]
)
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_damaged_parsed_rows_are_made_again(store: ParsedFiles, part: str, damage: str) -> None:
    first = ingest(DIRTY, store)
    damaged = first.files[1].parsed_path.with_suffix(f".{part}")
    damaged.chmod(0o644)
    held = held_by(damaged)
    content = damaged.read_bytes()
    if damage == "gone":
        damaged.unlink()
    else:
        damaged.write_bytes(content[:-1] + b"?" if damage == "changed" else content[:-1])
    # Its facts are known, but the rows have to be parsed again, and so its bytes be read.
    second = ingest(DIRTY, store)
    assert [file.is_parsed_now for file in second.files] == [False, True, False]
    assert held_by(damaged) == held
    assert not any(file.is_read for file in ingest(DIRTY, store).files)


def test_the_version_of_the_parser_is_made_of_all_that_parses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "ingest"
    shutil.copytree(Path(keep.__file__).parent, room)
    monkeypatch.setattr(keep, "__file__", str(room / "keep.py"))
    versions = {keep.parser_version.__wrapped__()}
    assert versions == {keep.parser_version.__wrapped__()}
    for changed in (*room.glob("*.py"), *room.glob("sql/*.sql")):
        changed.write_text(changed.read_text(encoding="utf-8") + " ", encoding="utf-8")
        versions.add(keep.parser_version.__wrapped__())
    assert len(versions) > 20
    monkeypatch.setattr(duckdb, "__version__", "0")
    assert keep.parser_version.__wrapped__() not in versions


def test_a_file_that_changes_while_it_is_read_leaves_nothing(
    raw: Path, store: ParsedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changing(*arguments: Any) -> Any:
        (raw / "taps.json").write_text("another", encoding="utf-8")
        return is_proved(*arguments)

    is_proved = read.is_proved
    monkeypatch.setattr(reading, "is_proved", changing)
    with pytest.raises(ValuePropsError, match="changed"):
        ingest(raw, store)
    assert not list((store.folder / "taps").glob("*.json"))


@pytest.mark.parametrize("by", ["another thread", "Ctrl-C"])
def test_a_reading_that_is_stopped_ends_at_once(
    store: ParsedFiles, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    stop = Event()
    endless = (
        "select sum(hash(range)) from range(1000000000000000)"
        " where range <> strlen($read_path || $compression)"
    )
    sql = read.sql
    monkeypatch.setattr(
        read, "sql", lambda name: endless if name == "lines_of_events" else sql(name)
    )
    monkeypatch.setattr(reading, "read_plain", lambda *_: None)
    began_at = time.monotonic()
    Timer(1, stop.set if by == "another thread" else _thread.interrupt_main).start()
    with pytest.raises(ValuePropsError if by == "another thread" else KeyboardInterrupt):
        ingest(CLEAN, store, Trust.STAMPS, stop)
    assert 1 <= time.monotonic() - began_at < 10


def test_an_unreadable_inventory_only_costs_time(store: ParsedFiles) -> None:
    inventory = ingest(CLEAN, store)
    (store.folder / "inventory.json").write_text("{", encoding="utf-8")
    again = ingest(CLEAN, store)
    assert [file.is_read for file in again.files] == [True, True, True]
    assert [file.facts for file in again.files] == [file.facts for file in inventory.files]


def test_full_refresh_gives_the_same_bytes_and_the_manifest_tells_what_was_read(
    tmp_path: Path,
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    files = daily_files()
    held_back = files.pop("pays_5.csv")
    for name, lines in files.items():
        write(raw, name, lines)

    build(out, "--allow-incomplete", raw=raw)
    write(raw, "pays_5.csv", held_back)
    build(out, "--allow-incomplete", raw=raw)
    incremental = (out / "final.csv").read_bytes()
    build(out, "--allow-incomplete", "--full-refresh", raw=raw)
    assert (out / "final.csv").read_bytes() == incremental
    inputs = manifest_of(out)["inputs"]
    assert {row["hash_source"] for row in inputs} == {"read"}
    for row in inputs:
        assert (out / "parsed" / row["parsed"]).is_file()
