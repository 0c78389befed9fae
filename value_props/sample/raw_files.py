"""Write made-up raw data in the shape of the public case, at any size.

Nothing here comes from real users. The rows follow a small model of how the app is used, which
DuckDB computes step by step (sql/, in the order of TABLES): users open the app, see a carousel
of value props, tap some of them, and pay.

A random number is a hash of the seed, of what the number is for and of the row's key, so it
depends on no other row, no thread and no clock. DuckDB may change ``hash()`` in a later version,
and with it the data behind a seed.
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

# Beside the sample files: what was written, so that a run over them can say what it is.
NOTE = "sample.json"

FIRST_DAY = date(2020, 11, 1)
LAST_DAY = date(2020, 11, 30)

MIN_SCALE = 0.001
MAX_SCALE = 100.0

# What the public case holds, which is scale 1.
USERS = 100_000
PRINTS = 508_617
TAPS = 50_859
PAYS = 756_483

FILE_NAMES = {"prints": "prints.json", "taps": "taps.json", "pays": "pays.csv"}

# The steps of the model, each of which may read those before it.
TABLES = ("value_props", "days", "carousels", "opens", "prints", "taps", "follow_up_payments")

# Enough for any scale, because DuckDB spills what does not fit.
MEMORY_LIMIT = "2GB"


@dataclass(frozen=True)
class SampleSummary:
    """What `write_sample` wrote.

    `paths` and `rows` are keyed by source (prints, taps, pays); `users` counts the users who
    appear in the data; both days hold rows of every source.
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
    """Write prints.json, taps.json, pays.csv and a note to the folder `out`, made if missing.

    Rows and users grow linearly with `scale`; 1 is the size of the public case. The same
    `scale` and `seed` give the same bytes, whatever the number of `threads` (default: all
    cores) and the `memory_limit`, such as 2GB. The files appear whole or not at all.

    Raises ValueError if `scale` is not from 0.001 to 100, and FileExistsError if one of the
    files is there and `overwrite` is false.
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
    # Inside `out`, so that the renames stay on one file system.
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
    """Whether a raw file is one that `write_sample` wrote.

    Args:
        note: the file NOTE from beside the raw files.
        sha256s: of what the raw files hold.
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
        # The COPY statements order their rows themselves.
        "preserve_insertion_order": False,
    }
    if threads is not None:
        config["threads"] = threads
    return duckdb.connect(":memory:", config=config)


def _make_tables(connection: duckdb.DuckDBPyConnection, scale: float, seed: int) -> None:
    """Fill TABLES. The queries read the variables through the macros of the same name."""
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
    """Write one source to `path`; return its rows."""
    if source == "pays":
        query, values, options = sql("sample", "pays_file"), {}, "format csv, header true"
    else:
        query, values, options = sql("sample", "events_file"), {"events": source}, "format json"
    copy = f"copy ({query}) to {literal(path)} ({options})"
    [(rows,)] = connection.execute(copy, values).fetchall()
    return int(rows)
