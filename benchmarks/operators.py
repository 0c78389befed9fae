"""What bounds a query: its slowest operators, as DuckDB's EXPLAIN ANALYZE times them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from value_props.database import literal


def slowest_operators(
    database: Path, query: str, threads: int, memory_limit: str, count: int = 3
) -> list[dict[str, Any]]:
    """Run a query on a published database and tell its slowest operators.

    Args:
        database: file that was published.
        query: as dbt compiled it.
        threads: of DuckDB.
        memory_limit: such as 2GB.
        count: how many operators.

    Returns:
        operator, what it works on, rows that leave it, and its share of the CPU time, 0 to 1;
        the slowest first.
    """
    with tempfile.TemporaryDirectory(prefix="operators_") as scratch:
        profile = Path(scratch) / "profile.json"
        with duckdb.connect(str(database), read_only=True) as connection:
            connection.execute(f"set threads = {threads}")
            connection.execute(f"set memory_limit = {literal(memory_limit)}")
            connection.execute(f"set temp_directory = {literal(Path(scratch) / 'temp')}")
            connection.execute("set enable_profiling = 'json'")
            connection.execute(f"set profiling_output = {literal(profile)}")
            connection.execute(f"create temp table result as {query}")
            connection.execute("pragma disable_profiling")
        operators = list(_operators(json.loads(profile.read_text(encoding="utf-8"))["operator"]))
    total = sum(operator["timing"] for operator in operators) or 1
    operators.sort(key=lambda operator: -operator["timing"])
    return [
        {
            "operator": operator["type"],
            "on": _subject(operator.get("extra_info", {})),
            "rows": operator["intermediate_rows"],
            "share": round(operator["timing"] / total, 3),
        }
        for operator in operators[:count]
    ]


def _operators(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        yield node
        yield from _operators(node.get("children", []))


def _subject(extra_info: dict[str, Any]) -> str:
    for key in ("Conditions", "Groups", "Table", "Function", "Expression"):
        if key in extra_info:
            found = extra_info[key]
            return ", ".join(map(str, found)) if isinstance(found, list) else str(found)
    return ""
