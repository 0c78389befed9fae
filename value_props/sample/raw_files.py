"""Write made-up raw data with the structure of the public case, at any size.

No data comes from real users. A small model describes how people use the app: they open it, see a
carousel of value props, tap some of them, and pay. DuckDB computes the model step by step (sql/, in
the order of TABLES).

A random number is a hash of the seed, the purpose of the number and the key of the row. So it does
not depend on other rows, on threads or on the time. If a later version of DuckDB changes
``hash()``, the same seed gives other data.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from value_props.database import literal, sql
from value_props.files import move, sha256_of

# A file beside the sample files with their hashes, so that a run can tell that it read a sample.
NOTE = "sample.json"

FIRST_DAY = date(2020, 11, 1)
LAST_DAY = date(2020, 11, 30)

MIN_SCALE = 0.001
MAX_SCALE = 100.0

# Users in the public case, and rows of its files. This is scale 1.
USERS = 100_000
PRINTS = 508_617
TAPS = 50_859
PAYS = 756_483

FILE_NAMES = {"prints": "prints.json", "taps": "taps.json", "pays": "pays.csv"}

# The steps of the model. Each step may read the tables of earlier steps.
TABLES = ("value_props", "days", "carousels", "opens", "prints", "taps", "follow_up_payments")

# This is enough for any scale, because DuckDB spills to disk.
MEMORY_LIMIT = "2GB"


@dataclass(frozen=True)
class SampleSummary:
    """The result of write_sample.

    Args:
        paths: path of each file, by source (prints, taps, pays).
        rows: number of rows, by source.
        users: number of users who appear in the data.
        first_day: first day of the data; every source has rows on it.
        last_day: last day of the data; every source has rows on it.
    """

    paths: dict[str, Path]
    rows: dict[str, int]
    users: int
    first_day: date
    last_day: date


def write_sample(
    out: Path,
    scale: float = 1.0,
    seed: int = 7,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    memory_limit: str = MEMORY_LIMIT,
) -> SampleSummary:
    """Write prints.json, taps.json, pays.csv and a note. No file appears before all are complete.

    The same scale and seed give the same bytes for any threads and memory_limit.

    Args:
        out: folder of the files, created if missing.
        scale: size of the data, 0.001 to 100; 1 is the size of the public case. Rows and users
            grow linearly with it.
        seed: seed of the random numbers.
        overwrite: replace existing files.
        threads: threads of DuckDB; None for all cores.
        memory_limit: memory of DuckDB, such as 2GB.

    Raises:
        ValueError: the scale is out of range.
        FileExistsError: one of the files exists, and overwrite is false.
    """
    if not MIN_SCALE <= scale <= MAX_SCALE:
        raise ValueError(
            f"--scale is {scale:g}, and it must be a number from {MIN_SCALE:g} to {MAX_SCALE:g}"
        )
    paths = {source: out / name for source, name in FILE_NAMES.items()}
    present = [str(path) for path in paths.values() if path.exists()]
    if present and not overwrite:
        raise FileExistsError(f"there are files already: {', '.join(present)}")

    out.mkdir(parents=True, exist_ok=True)
    # The drafts are inside `out`, so that they can be renamed within one file system.
    with tempfile.TemporaryDirectory(prefix=".sample-", dir=out) as scratch:
        drafts = {source: Path(scratch) / name for source, name in FILE_NAMES.items()}
        with _connect(Path(scratch), threads, memory_limit) as connection:
            _make_tables(connection, scale, seed)
            rows = {source: _write(connection, source, draft) for source, draft in drafts.items()}
        note = Path(scratch) / NOTE
        _write_note(note, scale, seed, drafts.values())
        move(note, out / NOTE)
        for source, draft in drafts.items():
            move(draft, paths[source])
    return SampleSummary(
        paths=paths,
        rows=rows,
        users=round(scale * USERS),
        first_day=FIRST_DAY,
        last_day=LAST_DAY,
    )


def _write_note(path: Path, scale: float, seed: int, files: Collection[Path]) -> None:
    written = {
        "about": "value-props sample made these files up. A run over any of them says so.",
        "scale": scale,
        "seed": seed,
        "sha256": {file.name: sha256_of(file) for file in files},
    }
    path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def is_sample_data(note: bytes, sha256s: Collection[str]) -> bool:
    """Return whether write_sample wrote at least one of the raw files.

    Args:
        note: content of the file NOTE beside the raw files.
        sha256s: SHA-256 of the content of each raw file.
    """
    try:
        written = set(json.loads(note)["sha256"].values())
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return not written.isdisjoint(sha256s)


def _connect(scratch: Path, threads: int | None, memory_limit: str) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(scratch / "spill"),
        # The queries of the COPY statements order their rows.
        "preserve_insertion_order": False,
    }
    if threads is not None:
        config["threads"] = threads
    return duckdb.connect(":memory:", config=config)


def _make_tables(connection: duckdb.DuckDBPyConnection, scale: float, seed: int) -> None:
    """Create TABLES. The queries read the variables through the macros of macros.sql."""
    variables = {
        "seed": seed,
        "users": round(scale * USERS),
        "prints": round(scale * PRINTS),
        "taps": round(scale * TAPS),
        "pays": round(scale * PAYS),
        "first_day": FIRST_DAY,
        "day_count": (LAST_DAY - FIRST_DAY).days + 1,
    }
    for name, value in variables.items():
        connection.execute(f"set variable {name} = $value", {"value": value})
    connection.execute(sql("sample", "macros"))
    for table in TABLES:
        connection.execute(f"create table {table} as {sql('sample', table)}")


def _write(connection: duckdb.DuckDBPyConnection, source: str, path: Path) -> int:
    """Write one source to a file. Return the number of rows."""
    if source == "pays":
        query, values, options = sql("sample", "pays_file"), {}, "format csv, header true"
    else:
        query, values, options = sql("sample", "events_file"), {"events": source}, "format json"
    copy = f"copy ({query}) to {literal(path)} ({options})"
    [(rows,)] = connection.execute(copy, values).fetchall()
    return int(rows)
