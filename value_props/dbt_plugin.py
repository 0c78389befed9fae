"""What the models ask of Python, as functions of DuckDB; dbt-duckdb loads it by profiles.yml."""

from __future__ import annotations

from pathlib import Path

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from value_props import parsed
from value_props.places import place_of
from value_props.raw_files import Trust, as_json, recall_or_inspect


class Plugin(BasePlugin):  # type: ignore[misc]
    """Two functions: one finds the raw files, the other keeps a parsed one."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Add the functions to a connection."""
        # Neither may be folded into a constant while a query is planned.
        conn.create_function(
            "find_raw_files", _find_raw_files, ["VARCHAR"] * 4, "VARCHAR", side_effects=True
        )
        conn.create_function(
            "keep_parsed_file", parsed.keep, ["VARCHAR"] * 4, "BOOLEAN", side_effects=True
        )


def _find_raw_files(raw_path: str, copies_path: str, parsed_path: str, trust: str) -> str:
    raw = place_of(raw_path, "raw")
    with raw.told():
        raw.mirrored()
        return as_json(
            recall_or_inspect(
                raw.folder, Path(copies_path), parsed.ParsedFiles(Path(parsed_path)), Trust(trust)
            )
        )
