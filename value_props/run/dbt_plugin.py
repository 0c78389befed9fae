"""DuckDB functions that dbt calls. dbt-duckdb loads this plugin through profiles.yml."""

from __future__ import annotations

from pathlib import Path

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from value_props.ingest import Trust, ingest
from value_props.ingest.find import ignored_names, ignored_sentence, stamp_of
from value_props.ingest.keep import ParsedFiles
from value_props.ingest.stage import stage
from value_props.logs import logger
from value_props.publish.places import place_of


class Plugin(BasePlugin):  # type: ignore[misc]
    """Two functions: one ingests the raw files, the other returns the stamp of a raw file."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Add the functions to a connection. Warn if parsed files of the database are missing."""
        _warn_of_lost_files(conn)

        def ingest_raw_files(raw_path: str, parsed_path: str, trust: str) -> int:
            """Ingest the raw files; called once, by the hook on-run-start. Return their number."""
            raw = place_of(raw_path, "raw")
            with raw.name_in_errors():
                raw.mirrored({})
                inventory = ingest(raw.folder, ParsedFiles(Path(parsed_path)), Trust(trust))
                if ignored := ignored_names(raw.names()):
                    logger.warning(ignored_sentence(ignored))
            with conn.cursor() as cursor:
                stage(cursor, inventory)
            return len(inventory.files)

        # side_effects keeps DuckDB from folding the calls into constants when it plans a query.
        conn.create_function(
            "ingest_raw_files", ingest_raw_files, ["VARCHAR"] * 3, "INTEGER", side_effects=True
        )
        conn.create_function("raw_file_stamp", _stamp_of, ["VARCHAR"], "VARCHAR", side_effects=True)


def _stamp_of(path: str) -> str:
    return stamp_of(Path(path))


def _warn_of_lost_files(conn: DuckDBPyConnection) -> None:
    try:
        listed = conn.execute("select parsed_path from raw.files").fetchall()
    except duckdb.Error:
        # A new database has no such view yet.
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
