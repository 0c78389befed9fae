"""The history of all runs: one folder of Parquet files a run, read as one table.

    out/quality/<run_id>/
      runs.parquet, test_results.parquet, …, one file for each table of history_tables.py
      report.json, report.parquet   what the run found; see report.py
      texts_removed     an empty file: the run's files are gone, and with them the raw text in these
      rolled_back       an empty file: the run was current, and an older one is now
      forgotten.json    the run was published to forget users; see forget.py

A folder is written in the work folder of its run and then renamed, so it is whole or not
there. A run that is killed, or that could not write its record, leaves its begun.json behind;
the next run settles what became of it. So each run that began is recorded once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import duckdb

from value_props.database import WINDOW_QUERY, literal, opened, parquet_rows, rows_of, sql
from value_props.errors import ValuePropsError
from value_props.files import move, remove_tree, replace_text, sync
from value_props.logs import logger
from value_props.publish.lock import is_held
from value_props.publish.out_path import ROLLED_BACK, OutPath
from value_props.record.facts import Begun, Ended, NodeOutcome, Record
from value_props.record.history_tables import RUNS, TABLES, Table

BEGUN = "begun.json"
RECORD = "record"
FORGOTTEN = "forgotten.json"
# Room in a note for what becomes of the run; six bytes for each character of its problem.
NOTE_BYTES = 4096
PROBLEM_LENGTH = 600
# Records that are read one by one, before they are put together with the others.
MOST_UNCACHED = 30


def begin(out: OutPath, begun: Begun) -> None:
    """Leave a note of a run in its work folder. Call it under the lock, after settle."""
    replace_text(out.work / BEGUN, json.dumps(asdict(begun)) + "\n" + " " * NOTE_BYTES)


def note_end(out: OutPath, ended: Ended) -> None:
    """Add to the note of a run what became of it, in bytes that it has already.

    So it is known even where a full disk keeps the record from being written.
    """
    problem = (ended.problem or "")[:PROBLEM_LENGTH]
    text = json.dumps(asdict(replace(ended, problem=problem or None))).encode()
    path = out.work / BEGUN
    with path.open("r+b") as note:
        note.readline()
        # Between a read and a write a file has to be told where it is.
        note.seek(note.tell())
        note.write(text.ljust(NOTE_BYTES))
    sync(path)


def _unsettled(out: OutPath) -> Record | None:
    """What the note of a run says that ended without a record, or has not ended yet."""
    try:
        begun_text, _, ended_text = (out.work / BEGUN).read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    try:
        begun = Begun(**json.loads(begun_text))
        if ended_text.strip():
            return Record(begun, Ended(**json.loads(ended_text)))
    except (ValueError, TypeError):
        logger.warning("step=history problem=the note of the last run is damaged: %s", out.work)
        return None
    return Record(begun, Ended("killed", problem="The run was killed", ended_at=None))


def stage(out: OutPath, record: Record, database: Path | None = None) -> None:
    """Write the record of a run beside its work, and all history into its database.

    Args:
        out: where the run works.
        record: of the run, as it ended, or will end once it is made current.
        database: that the run filled, or did not come to; None writes the record only.
    """
    folder, run_id = out.work / RECORD, record.begun.run_id
    remove_tree(folder)
    folder.mkdir(parents=True)
    with opened(database) as connection:
        _load(connection, out)
        window = next(iter(rows_of(connection, WINDOW_QUERY)), {})
        rows = {
            "runs": [_run_row(record, window)],
            "test_results": [
                _test_row(run_id, outcome) for outcome in record.outcomes if "test" in outcome.kind
            ],
        }
        for table in TABLES:
            if table.name in rows:
                _insert(connection, table, rows[table.name])
            for query in table.queries:
                _insert_profile(connection, table, query, run_id)
            path = folder / f"{table.name}.parquet"
            connection.execute(
                f"copy (from {table.path} where run_id = {literal(run_id)})"  # nosec B608
                f" to {literal(path)} (format parquet)"
            )
            sync(path)


def commit(out: OutPath, run_id: str) -> None:
    """Make the staged record part of the history, in one step."""
    out.history.mkdir(exist_ok=True)
    move(out.work / RECORD, out.history / run_id)


def is_recorded(out: OutPath, run_id: str) -> bool:
    """Whether a run that ended is part of the history; else its files are no run to go back to.

    The files are switched to once the record of a published run is staged, so where they are
    the current ones, that record holds.
    """
    if has_record(out, run_id):
        return True
    if out.current_run_id() == run_id:
        commit(out, run_id)
        return True
    remove_tree(out.runs / run_id)
    return False


def has_record(out: OutPath, run_id: str) -> bool:
    """Whether the record of a run is part of the history."""
    return (out.history / run_id).exists()


def settle(out: OutPath) -> None:
    """Record what became of a run that left no record, and which runs were rolled back.

    Call it under the lock, before the work folder is swept.
    """
    if unsettled := _unsettled(out):
        run_id = unsettled.begun.run_id
        if not is_recorded(out, run_id):
            stage(out, unsettled)
            commit(out, run_id)
    rolled_back = _rolled_back(out)
    for folder in _folders(out):
        mark = folder / ROLLED_BACK
        if folder.name in rolled_back:
            mark.touch()
        elif folder.name == out.current_run_id():
            mark.unlink(missing_ok=True)


def note_forgotten(out: OutPath, run_id: str | None, facts: Mapping[str, Any]) -> None:
    """Record that users were removed from all that is kept. Call it under the lock.

    Args:
        out: where it was done.
        run_id: that was published without them; without one the last recorded run has the note.
        facts: JSON values, by name.
    """
    folders = [out.history / run_id] if run_id else _folders(out)[-1:]
    for folder in folders:
        notes = [*_notes_of(folder), dict(facts)]
        replace_text(folder / FORGOTTEN, json.dumps(notes, indent=2), scratch=out.root)
        sync(folder)


def forgotten(out: OutPath) -> dict[str, list[dict[str, Any]]]:
    """What note_forgotten recorded, by run, oldest first."""
    return {folder.name: notes for folder in _folders(out) if (notes := _notes_of(folder))}


def _notes_of(folder: Path) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads((folder / FORGOTTEN).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return found


def run_ids(out: OutPath) -> list[str]:
    """The runs that began, oldest first, with one that left no record."""
    unsettled = _unsettled(out)
    noted = [unsettled.begun.run_id] if unsettled else []
    return sorted({*noted, *(folder.name for folder in _folders(out)), *out.run_ids()})


def last_status(out: OutPath) -> str | None:
    """What became of the last recorded run, rollbacks aside; None where nothing tells."""
    folders = _folders(out)
    if not folders:
        return None
    path = parquet_rows([folders[-1] / "runs.parquet"])
    with opened(None) as connection, suppress(duckdb.Error, IndexError):
        return str(rows_of(connection, f"select status from {path}")[0]["status"])  # nosec B608
    return None


def runs_made_current(out: OutPath) -> list[str]:
    """Of the passed runs that are kept, those that are or were current, oldest first."""
    return _made_current([out.history / run_id for run_id in out.run_ids()])


def run_before(out: OutPath) -> str:
    """The last run that was current before the one that is.

    A run of an older week, which was built afterwards and did not become current, is none.

    Raises:
        ValuePropsError: none is kept.
    """
    current = out.current_run_id()
    older = [run_id for run_id in runs_made_current(out) if current is None or run_id < current]
    if not older:
        others = [run_id for run_id in out.run_ids() if run_id != current]
        raise ValuePropsError(
            "no earlier published run is kept to go back to",
            f"Out path {out.root}",
            f"Name one of these runs in --to: {', '.join(others)}"
            if others
            else "Correct the raw files, and run `value-props build`",
        )
    return older[-1]


def runs(out: OutPath, limit: int) -> list[dict[str, Any]]:
    """The last runs, the newest first, with the columns of the table `runs` and some sums.

    It writes nothing: a run that left no record and is over is told by its note.
    """
    with opened(None) as connection:
        _load(connection, out, is_read_only=True)
        unsettled = _unsettled(out)
        if unsettled and not is_held(out.lock) and not has_record(out, unsettled.begun.run_id):
            _insert(connection, RUNS, [_run_row(unsettled, {})])
        return rows_of(connection, sql("record", "runs_with_sums"), {"limit": limit})


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create schema if not exists quality")
    for table in TABLES:
        columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
        connection.execute(f"create or replace table {table.path} ({columns})")
        connection.execute(f"comment on table {table.path} is {literal(table.description)}")
        for column in table.columns:
            connection.execute(
                f"comment on column {table.path}.{column.name} is {literal(column.description)}"
            )


def _insert(
    connection: duckdb.DuckDBPyConnection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    structure = json.dumps([{column.name: column.type for column in table.columns}])
    connection.execute(
        f"insert into {table.path} by name"  # nosec B608
        f" select unnest(from_json(cast(? as json), {literal(structure)}), max_depth := 2)",
        [json.dumps(rows, default=str)],
    )


def _load(
    connection: duckdb.DuckDBPyConnection, out: OutPath, *, is_read_only: bool = False
) -> None:
    """Make the history tables, with the rows of all recorded runs in the order of the runs.

    A record is many small files. What has been read of them is put together in one file a table,
    in the cache, and the next run reads only the records that came since.
    """
    _create_tables(connection)
    folders = _folders(out)
    cache = out.cache / "history"
    cached = _cached_runs(connection, cache) & {folder.name for folder in folders}
    new = [folder for folder in folders if folder.name not in cached]
    connection.execute(
        "create or replace temp table cached as select unnest(?) as run_id", [sorted(cached)]
    )
    for table in TABLES:
        if cached:
            kept = parquet_rows([cache / f"{table.name}.parquet"])
            connection.execute(
                f"insert into {table.path} by name select {_columns(table)} from {kept}"  # nosec B608
                " where run_id in (select cached.run_id from cached) order by run_id"
            )
        insert = f"insert into {table.path} by name from {{rows}} order by run_id"
        _query_records(connection, new, table, insert)
    if len(new) > MOST_UNCACHED and not is_read_only:
        _write_cache(connection, out, cache)
    gone = ", ".join(map(literal, _rolled_back(out))) or "null"
    connection.execute(
        f"update {RUNS.path} set status = 'rolled back' where run_id in ({gone})"  # nosec B608
    )


def _cached_runs(connection: duckdb.DuckDBPyConnection, cache: Path) -> set[str]:
    """The runs whose records are put together in the cache; none where it is not whole."""
    if not all(_is_whole(connection, cache / f"{table.name}.parquet", table) for table in TABLES):
        return set()
    path = parquet_rows([cache / f"{RUNS.name}.parquet"])
    found = connection.execute(f"select run_id from {path}").fetchall()  # nosec B608
    return {run_id for (run_id,) in found}


def _write_cache(connection: duckdb.DuckDBPyConnection, out: OutPath, cache: Path) -> None:
    """Put what was loaded together in the cache."""
    draft = out.work / "history"
    remove_tree(draft)
    draft.mkdir(parents=True)
    for table in TABLES:
        path = literal(draft / f"{table.name}.parquet")
        connection.execute(f"copy {table.path} to {path} (format parquet)")
    remove_tree(cache)
    cache.parent.mkdir(exist_ok=True)
    move(draft, cache)


def _is_whole(connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> bool:
    """Whether a file of a table can be read to its end, and has all columns that are known."""
    with suppress(duckdb.Error):
        rows = f"select {_columns(table)} from {parquet_rows([path])}"  # nosec B608
        connection.execute(f"select count(columns(*)) from ({rows})")  # nosec B608
        return True
    return False


def _columns(table: Table) -> str:
    return ", ".join(column.name for column in table.columns)


def _query_records(
    connection: duckdb.DuckDBPyConnection, folders: Sequence[Path], table: Table, statement: str
) -> list[tuple[Any, ...]]:
    """Run a statement over the rows of a table in some records; damaged files are left out.

    Args:
        connection: where it runs.
        folders: of the records.
        table: one that a record may lack, if it is older than the table.
        statement: SQL, with {rows} where the rows stand.
    """

    def run(files: Sequence[Path], columns: str = "*") -> list[tuple[Any, ...]]:
        runs = ", ".join(literal(path.parent.name) for path in files)
        # A file that was put in the place of another tells of another run.
        rows = (
            f"(select {columns} from {parquet_rows(files, is_by_name=True)}"  # nosec B608
            f" where run_id = [{runs}][cast(file_index + 1 as bigint)])"
        )
        return connection.execute(statement.format(rows=rows)).fetchall()

    paths = [path for folder in folders if (path := folder / f"{table.name}.parquet").exists()]
    try:
        return run(paths) if paths else []
    except duckdb.Error:
        found = []
        for path in paths:
            # A later version may have written columns that are not known here.
            fault: duckdb.Error | None = None
            for columns in ("*", _columns(table)):
                try:
                    found.extend(run([path], columns))
                    break
                except duckdb.Error as error:
                    fault = error
            else:
                # Where the rows can be read, something else failed: a full disk.
                if fault and _is_whole(connection, path, table):
                    raise fault
                logger.warning(
                    "step=history problem=%s is damaged, so the history does without it; what is"
                    " published is not touched. Remove the file, and this warning ends",
                    path,
                )
        return found


def _rolled_back(out: OutPath) -> set[str]:
    """The runs that were current and were gone back from.

    A run that was current and is newer than the current one was rolled back, whether its mark
    was written or not. The mark tells it once a newer run is current.
    """
    folders = _folders(out)
    current = out.current_run_id()
    marked = {folder.name for folder in folders if (folder / ROLLED_BACK).exists()}
    if current is None:
        return marked
    newer = [folder for folder in folders if folder.name > current]
    return (marked | set(_made_current(newer))) - {current}


def _made_current(folders: Sequence[Path]) -> list[str]:
    """Of the runs with these records, those that became current, oldest first."""
    with opened(None) as connection:
        found = _query_records(
            connection,
            folders,
            RUNS,
            "select run_id from {rows} where is_made_current order by run_id",
        )
    return [run_id for (run_id,) in found]


def _folders(out: OutPath) -> list[Path]:
    return sorted(out.history.iterdir()) if out.history.is_dir() else []


def _insert_profile(
    connection: duckdb.DuckDBPyConnection, table: Table, query: str, run_id: str
) -> None:
    """Add the rows of a query; none where the run did not build what it asks."""
    with suppress(duckdb.CatalogException):
        connection.execute(
            f"insert into {table.path} by name {sql('record', query)}", {"run_id": run_id}
        )


def _run_row(record: Record, window: Mapping[str, Any]) -> dict[str, Any]:
    begun = record.begun
    return {**asdict(begun), **asdict(record.ended), **begun.parameters, **window}


def _test_row(run_id: str, outcome: NodeOutcome) -> dict[str, Any]:
    return {
        **asdict(outcome),
        "run_id": run_id,
        "test_name": outcome.name,
        "failures_table": outcome.table,
    }
