"""What the models ask of Python, as functions of DuckDB; dbt-duckdb loads it by profiles.yml."""

from __future__ import annotations

from pathlib import Path

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from value_props import parsed
from value_props.logs import logger
from value_props.places import place_of
from value_props.raw_files import (
    Trust,
    as_json,
    ignored_names,
    ignored_sentence,
    recall_or_inspect,
)


class Plugin(BasePlugin):  # type: ignore[misc]
    """Two functions: one finds the raw files, the other keeps a parsed one."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Add the functions to a connection, and say where a database has lost what it reads."""
        _warn_of_lost_files(conn)
        # Neither may be folded into a constant while a query is planned.
        conn.create_function(
            "find_raw_files", _find_raw_files, ["VARCHAR"] * 4, "VARCHAR", side_effects=True
        )
        conn.create_function(
            "keep_parsed_file", parsed.keep, ["VARCHAR"] * 4, "BOOLEAN", side_effects=True
        )


def _warn_of_lost_files(conn: DuckDBPyConnection) -> None:
    try:
        listed = conn.execute("select parsed_path from staging.raw_files").fetchall()
    except duckdb.Error:
        # A new database.
        return
    lost = [path for (path,) in listed if not Path(path).is_file()]
    if lost:
        logger.warning(
            "%s of %s parsed raw files that the views read are gone, such as %s: run `dbt build`,"
            " which makes them again",
            len(lost),
            len(listed),
            lost[0],
        )


def _find_raw_files(raw_path: str, copies_path: str, parsed_path: str, trust: str) -> str:
    raw = place_of(raw_path, "raw")
    with raw.told():
        raw.mirrored()
        if ignored := ignored_names(raw.names()):
            logger.warning(ignored_sentence(ignored))
        return as_json(
            recall_or_inspect(
                raw.folder, Path(copies_path), parsed.ParsedFiles(Path(parsed_path)), Trust(trust)
            )
        )
