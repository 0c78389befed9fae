"""Open, read and export the DuckDB file of a run, and copy snapshots into it."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from value_props.logs import logger
from value_props.resources import resolve

# Clients older than DuckDB 2.0 can open files of this version. profiles.yml sets the same.
CONFIG = {"storage_compatibility_version": "v1.5.0"}

WINDOW_QUERY = "select * from intermediate.int_run_window"
MART = "marts.fct_prints"
USER_FEATURES = "marts.fct_user_features"


@contextmanager
def opened(path: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Context manager that opens a run's own file, with the time zone UTC.

    The connection obeys the limits of the current run (resources.py). Closing it writes all changes
    to the file.

    Args:
        path: the DuckDB file, created if missing; None for an empty database in memory.

    Raises:
        KeyboardInterrupt: a signal arrived while the main thread ran a query.
    """
    connection = duckdb.connect(str(path or ":memory:"), config={**CONFIG, **resolve().settings()})
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    except RuntimeError as error:
        # If a signal handler raises an exception during a query, DuckDB replaces it with this
        # error, which would look like a failure of the run.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise
    finally:
        connection.close()


@contextmanager
def loaded(path: Path) -> Iterator[None]:
    """Context manager that keeps a run's own file loaded, so that opening it inside is fast."""
    with opened(path):
        yield


@cache
def sql(room: str, name: str) -> str:
    """Return the text of value_props/<room>/sql/<name>.sql."""
    return resources.files("value_props").joinpath(room, "sql", f"{name}.sql").read_text("utf-8")


def parquet_rows(
    paths: Sequence[Path | str], *, is_by_name: bool = False, is_numbered: bool = False
) -> str:
    """Return SQL that reads Parquet files. It sets every option that changes the result.

    Args:
        paths: paths of the files, without wildcards: each character stands for itself. A folder
            `key=value` does not become a column.
        is_by_name: match columns by name; a file may lack columns that others have.
        is_numbered: add the column file_row_number.
    """
    listed = ", ".join(literal(glob.escape(str(path))) for path in paths)
    return (
        f"read_parquet([{listed}], hive_partitioning = false,"
        f" union_by_name = {str(is_by_name).lower()},"
        f" file_row_number = {str(is_numbered).lower()})"
    )


def carry_over_snapshots(published: Sequence[Path], database: Path) -> int:
    """Copy the snapshot tables of the last published file into the file of a run.

    Args:
        published: published files, newest first. The first one that exists and can be read is used.
        database: the file of the run, which has no snapshots yet.

    Returns:
        The number of copied tables.
    """
    there = list(dict.fromkeys(path.resolve() for path in published if path.exists()))
    for path in there:
        try:
            return _carry_over(path, database)
        except duckdb.Error:
            logger.warning("step=carry_over problem=%s is damaged, and is not read", path)
    if there:
        logger.warning(
            "step=carry_over problem=no snapshot comes over: snap_value_props tells of no earlier"
            " build; all other tables are whole"
        )
    return 0


def _carry_over(published: Path, database: Path) -> int:
    copy = database.with_name("published.duckdb")
    try:
        with opened(database) as connection:
            try:
                _attach(connection, published)
            except duckdb.Error:
                # Another process may have the file open for writing. A copy can be read.
                shutil.copyfile(published, copy)
                _attach(connection, copy)
            tables = connection.execute(
                "select table_name from information_schema.tables"
                " where table_catalog = 'published' and table_schema = 'snapshots' order by all"
            ).fetchall()
            connection.execute("create schema if not exists snapshots")
            for (table,) in tables:
                name = _quoted(table)
                connection.execute(
                    f"create or replace table snapshots.{name}"  # nosec B608
                    f" as from published.snapshots.{name}"
                )
            connection.execute("detach published")
    finally:
        copy.unlink(missing_ok=True)
    return len(tables)


def export(database: Path, folder: Path, features: str | None = None) -> None:
    """Write the mart to final.csv and final.parquet in the order of its rows.

    That order is total (assert_prints_stand_in_order). DuckDB keeps it and forms row groups by it,
    so the same rows give the same bytes with any number of threads.

    Args:
        database: the file that the run filled.
        folder: folder to write to.
        features: name of the file for fct_user_features; None if the run did not build it.
    """
    csv_path = literal(folder / "final.csv")
    with opened(database) as connection:
        connection.execute(
            f"copy {MART} to {csv_path} (format csv, header, delimiter ',', quote '\"',"
            " escape '\"', dateformat '%Y-%m-%d')"
        )
        _copy_to_parquet(connection, MART, folder / "final.parquet")
        if features:
            _copy_to_parquet(connection, USER_FEATURES, folder / features)


def export_weeks(database: Path, pattern: Path) -> None:
    """Write the mart as one Parquet file per week.

    Each file has the same bytes as final.parquet of a run with only that week.

    Args:
        database: the file that the run filled.
        pattern: path of the files, with `week=*` where `*` stands for the Monday of the week.
    """
    with opened(database) as connection:
        weeks = connection.execute(
            f"select distinct week_start_date from {MART} order by all"  # nosec B608
        ).fetchall()
        for (week,) in weeks:
            path = Path(str(pattern).replace("week=*", f"week={week}"))
            path.parent.mkdir(parents=True)
            # Sort again, because DuckDB forms the same row groups only from sorted rows.
            connection.execute(
                "create or replace temporary table mart_of_week as"  # nosec B608
                f" from {MART} where week_start_date = {literal(week)}"
                " order by print_date, user_id, position, value_prop"
            )
            _copy_to_parquet(connection, "mart_of_week", path)


def rows(database: Path, query: str) -> list[dict[str, Any]]:
    """Return the rows of a query as dicts by column name; empty if a table is missing."""
    with opened(database) as connection:
        return rows_of(connection, query)


def rows_of(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    values: Sequence[object] | Mapping[str, object] = (),
) -> list[dict[str, Any]]:
    """Do the same as rows on an open connection, with values for the query's parameters."""
    try:
        result = connection.execute(query, values)
    except duckdb.CatalogException:
        return []
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def literal(value: object) -> str:
    """Return a value as a quoted SQL string."""
    return "'" + str(value).replace("'", "''") + "'"


def _copy_to_parquet(connection: duckdb.DuckDBPyConnection, table: str, path: Path) -> None:
    connection.execute(f"copy {table} to {literal(path)} (format parquet, compression zstd)")


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute(f"attach {literal(path)} as published (read_only)")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
