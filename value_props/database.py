"""What a run does with the DuckDB file besides dbt: carry over, read, export."""

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

# Files that clients older than DuckDB 2.0 can open; the same as in profiles.yml.
CONFIG = {"storage_compatibility_version": "v1.5.0"}

WINDOW_QUERY = "select * from intermediate.int_run_window"
MART = "marts.fct_prints"


@contextmanager
def opened(path: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a run's own file, in UTC; closing it writes the file out.

    Without a path it is one to an empty database in memory. It keeps to the bounds of the run
    under way, see resources.py.

    Raises:
        KeyboardInterrupt: a signal came while it ran a query, in the main thread.
    """
    connection = duckdb.connect(str(path or ":memory:"), config={**CONFIG, **resolve().settings()})
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    except RuntimeError as error:
        # What a handler of signals raises during a query DuckDB replaces by this, which would be
        # taken for a failure of the run.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise
    finally:
        connection.close()


@contextmanager
def loaded(path: Path) -> Iterator[None]:
    """Keep a run's own file open: each opening within is of what is loaded, and takes no time."""
    with opened(path):
        yield


@cache
def sql(room: str, name: str) -> str:
    """The text of value_props/<room>/sql/<name>.sql."""
    return resources.files("value_props").joinpath(room, "sql", f"{name}.sql").read_text("utf-8")


def parquet_rows(
    paths: Sequence[Path | str], *, is_by_name: bool = False, is_numbered: bool = False
) -> str:
    """SQL that reads Parquet files, with every option that changes what is read.

    Args:
        paths: of the files; no character of them is a wildcard, and no folder `key=value` is a
            column.
        is_by_name: files may lack columns that others have.
        is_numbered: with the column file_row_number.
    """
    listed = ", ".join(literal(glob.escape(str(path))) for path in paths)
    return (
        f"read_parquet([{listed}], hive_partitioning = false,"
        f" union_by_name = {str(is_by_name).lower()},"
        f" file_row_number = {str(is_numbered).lower()})"
    )


def carry_over_snapshots(published: Sequence[Path], database: Path) -> int:
    """Copy the snapshot tables of the last published file into a new one.

    Args:
        published: published files, the last first; the first that is there and whole is taken.
        database: the file of the run, without snapshots yet.

    Returns:
        How many tables came over.
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
                # Somebody has the file open for writing; its bytes can be read all the same.
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


def export(database: Path, folder: Path) -> None:
    """Write final.csv and final.parquet, with the rows of the mart as they stand.

    Their order is total (assert_prints_stand_in_order), and DuckDB keeps it and cuts row groups
    by it, so the same rows give the same bytes with any number of threads.
    """
    csv_path = literal(folder / "final.csv")
    with opened(database) as connection:
        connection.execute(
            f"copy {MART} to {csv_path} (format csv, header, delimiter ',', quote '\"',"
            " escape '\"', dateformat '%Y-%m-%d')"
        )
        _copy_to_parquet(connection, MART, folder / "final.parquet")


def export_weeks(database: Path, pattern: Path) -> None:
    """Write the mart as one Parquet file a week.

    Each holds the bytes that final.parquet has where the run has this week alone.

    Args:
        database: that the run filled.
        pattern: path of such a file, with `*` for the Monday of its week.
    """
    with opened(database) as connection:
        weeks = connection.execute(
            f"select distinct week_start_date from {MART} order by all"  # nosec B608
        ).fetchall()
        for (week,) in weeks:
            path = Path(str(pattern).replace("week=*", f"week={week}"))
            path.parent.mkdir(parents=True)
            # Sorted again, since DuckDB cuts row groups alike of sorted rows only.
            connection.execute(
                "create or replace temporary table mart_of_week as"  # nosec B608
                f" from {MART} where week_start_date = {literal(week)}"
                " order by print_date, user_id, position, value_prop"
            )
            _copy_to_parquet(connection, "mart_of_week", path)


def rows(database: Path, query: str) -> list[dict[str, Any]]:
    """The rows of a query, each by column name; empty where a table is missing."""
    with opened(database) as connection:
        return rows_of(connection, query)


def rows_of(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    values: Sequence[object] | Mapping[str, object] = (),
) -> list[dict[str, Any]]:
    """The same on a connection, with values for the parameters of the query."""
    try:
        result = connection.execute(query, values)
    except duckdb.CatalogException:
        return []
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def literal(value: object) -> str:
    """A value as a text of SQL, in its quotes."""
    return "'" + str(value).replace("'", "''") + "'"


def _copy_to_parquet(connection: duckdb.DuckDBPyConnection, table: str, path: Path) -> None:
    connection.execute(f"copy {table} to {literal(path)} (format parquet, compression zstd)")


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute(f"attach {literal(path)} as published (read_only)")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
