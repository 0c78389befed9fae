"""The history of all runs: a folder of Parquet files per run, loaded into the schema `quality`.

    out/quality/<run_id>/
      runs.parquet, test_results.parquet, …   one file per table of history_tables.py
      report.json, report.parquet             the report of the run; see report.py
      texts_removed     empty file: the raw text in the report was removed with the run's files
      rolled_back       empty file: the run was current until a rollback
      made_current      empty file: a rollback made the run current, which had been kept back
      forgotten.json    the run was published to forget users; see run/forget.py

A record is atomic: it is written in the run's work folder and then renamed. A run that was killed,
or could not write its record, leaves begun.json behind, and the next run writes the record. So each
run that began is recorded exactly once.
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
from value_props.publish.folder_lock import is_held
from value_props.publish.out_path import MADE_CURRENT, ROLLED_BACK, OutPath
from value_props.record.facts import Begun, Ended, NodeOutcome, Record
from value_props.record.history_tables import RUNS, TABLES, Table

BEGUN = "begun.json"
RECORD = "record"
FORGOTTEN = "forgotten.json"
# Bytes reserved in begun.json for the end of the run; JSON may need six bytes for a character.
NOTE_BYTES = 4096
PROBLEM_LENGTH = 600
# Number of new records above which they are merged into the cache.
MOST_UNCACHED = 30


def begin(out: OutPath, begun: Begun) -> None:
    """Write begun.json to the work folder. The caller holds the lock and has called settle."""
    replace_text(out.work / BEGUN, json.dumps(asdict(begun)) + "\n" + " " * NOTE_BYTES)


def note_end(out: OutPath, ended: Ended) -> None:
    """Write the end of the run into the reserved bytes of begun.json.

    That needs no disk space, so the end is known even if the disk is too full for the record.
    """
    problem = (ended.problem or "")[:PROBLEM_LENGTH]
    text = json.dumps(asdict(replace(ended, problem=problem or None))).encode()
    path = out.work / BEGUN
    with path.open("r+b") as note:
        note.readline()
        # Python requires a seek between a read and a write.
        note.seek(note.tell())
        note.write(text.ljust(NOTE_BYTES))
    sync(path)


def _unsettled(out: OutPath) -> Record | None:
    """Return what begun.json says of the last run; None if there is no file, or a damaged one."""
    try:
        begun_text, _, ended_text = (out.work / BEGUN).read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    try:
        begun = Begun(**json.loads(begun_text))
        if ended_text.strip():
            return Record(begun, Ended(**json.loads(ended_text)))
    except (ValueError, TypeError):
        logger.warning("step=history problem=begun.json of the last run is damaged: %s", out.work)
        return None
    return Record(begun, Ended("killed", problem="The run was killed", ended_at=None))


def stage(out: OutPath, record: Record, database: Path | None = None) -> None:
    """Write the record of a run to the work folder, and the history of all runs to its database.

    Args:
        out: the out path of the run.
        record: the facts of the run. A run that is about to be published counts as published.
        database: the database of the run; None writes the record only.
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
    """Move the staged record into the history. This is atomic."""
    out.history.mkdir(exist_ok=True)
    move(out.work / RECORD, out.history / run_id)


def recover_record(out: OutPath, run_id: str) -> bool:
    """Make sure that a run is recorded, or that its files are gone. Return whether it is recorded.

    A run becomes current only after its record is staged. So if the run is current, the staged
    record is complete and is committed. Otherwise the run was not published, and its files are
    removed.
    """
    if has_record(out, run_id):
        return True
    if out.current_run_id() == run_id:
        commit(out, run_id)
        return True
    remove_tree(out.runs / run_id)
    return False


def has_record(out: OutPath, run_id: str) -> bool:
    """Return whether the history holds the record of a run."""
    return (out.history / run_id).exists()


def settle(out: OutPath) -> None:
    """Record a run that was interrupted, and mark the runs that a rollback changed.

    The caller holds the lock and has not yet cleared the work folder.
    """
    if unsettled := _unsettled(out):
        run_id = unsettled.begun.run_id
        if not recover_record(out, run_id):
            stage(out, unsettled)
            commit(out, run_id)
    for run_id in _rolled_back(out):
        (out.history / run_id / ROLLED_BACK).touch()
    run_now = out.current_run_id()
    if run_now and has_record(out, run_now):
        current = out.history / run_now
        (current / ROLLED_BACK).unlink(missing_ok=True)
        if not _made_current([current]):
            (current / MADE_CURRENT).touch()


def note_forgotten(out: OutPath, run_id: str | None, facts: Mapping[str, Any]) -> None:
    """Record that users were forgotten. The caller holds the lock.

    Args:
        out: the out path.
        run_id: the run published without the users; None adds the note to the last recorded run.
        facts: JSON values by name; see run/forget.py.
    """
    folders = [out.history / run_id] if run_id else _folders(out)[-1:]
    for folder in folders:
        notes = [*_notes_of(folder), dict(facts)]
        replace_text(folder / FORGOTTEN, json.dumps(notes, indent=2), scratch=out.root)
        sync(folder)


def forgotten(out: OutPath) -> dict[str, list[dict[str, Any]]]:
    """Return the facts of note_forgotten by run_id, oldest run first."""
    return {folder.name: notes for folder in _folders(out) if (notes := _notes_of(folder))}


def _notes_of(folder: Path) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads((folder / FORGOTTEN).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return found


def run_ids(out: OutPath) -> list[str]:
    """Return the ids of all runs that began, oldest first, including one without a record."""
    unsettled = _unsettled(out)
    noted = [unsettled.begun.run_id] if unsettled else []
    return sorted({*noted, *(folder.name for folder in _folders(out)), *out.run_ids()})


def last_status(out: OutPath) -> str | None:
    """Return the status of the last recorded run, ignoring rollbacks; None if unknown."""
    folders = _folders(out)
    if not folders:
        return None
    path = parquet_rows([folders[-1] / "runs.parquet"])
    with opened(None) as connection, suppress(duckdb.Error, IndexError):
        return str(rows_of(connection, f"select status from {path}")[0]["status"])  # nosec B608
    return None


def runs_made_current(out: OutPath) -> list[str]:
    """Return the ids of kept runs that are or were current, oldest first."""
    return _made_current([out.history / run_id for run_id in out.run_ids()])


def run_before(out: OutPath) -> str:
    """Return the id of the run that was current before the current one.

    A run that never became current is skipped, and so is one that was rolled back: somebody found
    it wrong.

    Raises:
        ValuePropsError: no such run is kept.
    """
    current, rolled_back = out.current_run_id(), _rolled_back(out)
    older = [
        run_id
        for run_id in runs_made_current(out)
        if run_id not in rolled_back and (current is None or run_id < current)
    ]
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
    """Return the last runs, newest first, with the columns of `runs` and sums of rows and tests.

    Nothing is written. A run that ended without a record is read from begun.json.
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
    """Create the history tables and load all records, ordered by run.

    Records are many small files. A cache holds one merged file per table, so only records newer
    than the cache are read one by one.
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
    for changed, run_ids_changed in (
        ("status = 'rolled back'", _rolled_back(out)),
        ("is_made_current = true", _marked(folders, MADE_CURRENT)),
    ):
        connection.execute(
            f"update {RUNS.path} set {changed} where run_id in (select unnest(?))",  # nosec B608
            [sorted(run_ids_changed)],
        )


def _cached_runs(connection: duckdb.DuckDBPyConnection, cache: Path) -> set[str]:
    """Return the ids of the runs in the cache; an empty set if a file of it is damaged."""
    if not all(_is_whole(connection, cache / f"{table.name}.parquet", table) for table in TABLES):
        return set()
    path = parquet_rows([cache / f"{RUNS.name}.parquet"])
    found = connection.execute(f"select run_id from {path}").fetchall()  # nosec B608
    return {run_id for (run_id,) in found}


def _write_cache(connection: duckdb.DuckDBPyConnection, out: OutPath, cache: Path) -> None:
    """Replace the cache with the loaded tables."""
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
    """Return whether a Parquet file is readable to its end and has all columns of the table."""
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
    """Run a statement over one table of some records. Damaged files are left out with a warning.

    Args:
        connection: an open connection.
        folders: the folders of the records.
        table: the table; records older than the table lack it.
        statement: SQL with the placeholder {rows} for the rows.
    """

    def run(files: Sequence[Path], columns: str = "*") -> list[tuple[Any, ...]]:
        runs = ", ".join(literal(path.parent.name) for path in files)
        # Ignore rows of a file that was copied from the record of another run.
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
            # A later version may have added columns.
            fault: duckdb.Error | None = None
            for columns in ("*", _columns(table)):
                try:
                    found.extend(run([path], columns))
                    break
                except duckdb.Error as error:
                    fault = error
            else:
                # The file is readable, so something else failed, such as a full disk.
                if fault and _is_whole(connection, path, table):
                    raise fault
                logger.warning(
                    "step=history problem=%s is damaged, so the history leaves it out; published"
                    " files are not affected. Remove the file to end this warning",
                    path,
                )
        return found


def _rolled_back(out: OutPath) -> set[str]:
    """Return the ids of runs that were rolled back.

    A run that was current and is newer than the current run was rolled back, even if its mark is
    not written yet. Once a newer run is current, only the mark shows it.
    """
    folders = _folders(out)
    current = out.current_run_id()
    marked = _marked(folders, ROLLED_BACK)
    if current is None:
        return marked
    newer = [folder for folder in folders if folder.name > current]
    return (marked | set(_made_current(newer))) - {current}


def _made_current(folders: Sequence[Path]) -> list[str]:
    """Return the ids of the recorded runs that became current, oldest first."""
    with opened(None) as connection:
        found = _query_records(
            connection, folders, RUNS, "select run_id from {rows} where is_made_current"
        )
    return sorted({run_id for (run_id,) in found} | _marked(folders, MADE_CURRENT))


def _marked(folders: Sequence[Path], mark: str) -> set[str]:
    """Return the ids of the records that have a mark; see out_path.MARKS."""
    return {folder.name for folder in folders if (folder / mark).exists()}


def _folders(out: OutPath) -> list[Path]:
    return sorted(out.history.iterdir()) if out.history.is_dir() else []


def _insert_profile(
    connection: duckdb.DuckDBPyConnection, table: Table, query: str, run_id: str
) -> None:
    """Insert the rows of a query; none if the run did not build the tables that it reads."""
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
