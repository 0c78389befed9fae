"""Write manifest.json: the inputs, parameters, window, outputs and versions of a passed run."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from value_props import database
from value_props.errors import printable
from value_props.files import files_under, sha256_of
from value_props.parameters import PARAMETERS
from value_props.publish.bucket import Entry
from value_props.publish.out_path import DATABASE, FORMAT_VERSION, MANIFEST, Edition
from value_props.record.facts import PACKAGE, Begun, Record


def write_manifest(
    folder: Path,
    edition: Edition,
    record: Record,
    objects: Mapping[str, Entry] = MappingProxyType({}),
) -> dict[str, Any]:
    """Write manifest.json to the folder with the finished files of a run.

    Args:
        folder: folder with all outputs of the run.
        edition: the outputs to list.
        record: the facts of the run.
        objects: raw files in a bucket, by name; empty for a folder.

    Returns:
        The manifest as written.
    """
    path, begun = folder / DATABASE, record.begun
    with database.loaded(path):
        window = database.rows(path, database.WINDOW_QUERY)[0]
        report_weeks = _report_weeks(path)
        [mart] = database.rows(path, f"select count(*) as n from {database.MART}")  # nosec B608
        features = database.rows(path, f"select count(*) as n from {database.USER_FEATURES}")  # nosec B608
        inputs = [_located(row, begun.raw_path, objects) for row in _inputs(path, begun.run_id)]
    parameters = [parameter.name for parameter in PARAMETERS]
    manifest = {
        "format_version": FORMAT_VERSION,
        "status": "published",
        "run_id": begun.run_id,
        "started_at": begun.started_at,
        "raw_path": begun.raw_path,
        "is_sample_data": record.is_sample_data,
        "ignored_files": record.ignored_files,
        "seconds": record.seconds,
        "ended_at": record.ended.ended_at,
        "parameters": {
            "raw_path": begun.raw_path,
            **{name: window[name] for name in parameters},
        },
        "window": {name: value for name, value in window.items() if name not in parameters},
        "report_weeks": report_weeks,
        "rows_in_mart": mart["n"],
        # Null if the run did not build them.
        "rows_in_features": features[0]["n"] if features else None,
        "inputs": inputs,
        "outputs": _outputs(folder, edition),
        "warnings": [printable(warning) for warning in record.warnings],
        "tests": record.test_counts,
        "versions": _versions(begun),
        "git_commit": begun.git_commit,
    }
    return _write(manifest, folder / MANIFEST)


def _write(manifest: dict[str, Any], path: Path) -> dict[str, Any]:
    """Write a manifest, and return it as a reader of the file gets it."""
    text = json.dumps(manifest, indent=2, default=_as_json, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _versions(begun: Begun) -> dict[str, Any]:
    """Return versions by tool, with the dbt packages in an object of their own."""
    tools, packages = {}, {}
    for name, version in begun.versions.items():
        if name.startswith(PACKAGE):
            packages[name.removeprefix(PACKAGE)] = version
        else:
            tools[name] = version
    return {**tools, "dbt_packages": packages}


def _outputs(folder: Path, edition: Edition) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "path": name,
            "size_bytes": (folder / name).stat().st_size,
            "sha256": sha256_of(folder / name),
        }
        for output in (*edition.outputs, *edition.optional)
        for name in files_under(folder, output)
    ]


def _inputs(path: Path, run_id: str) -> list[dict[str, Any]]:
    with database.opened(path) as connection:
        inputs = database.rows_of(connection, database.sql("record", "inputs"), {"run_id": run_id})
    for row in inputs:
        # Relative to `parsed/`, because the out path may be moved.
        row["parsed"] = "/".join(Path(row["parsed"]).parts[-3:])
    return inputs


def _located(row: dict[str, Any], raw_path: str, objects: Mapping[str, Entry]) -> dict[str, Any]:
    """Return an input with its address and ETag if it is in a bucket."""
    entry = objects.get(Path(row["path"]).name)
    return {**row, "path": f"{raw_path}/{entry.name}", "etag": entry.etag} if entry else row


def _report_weeks(path: Path) -> list[dict[str, Any]]:
    weeks: dict[str, dict[str, Any]] = {}
    for row in database.rows(
        path, "select * from quality.lookback_coverage order by week_start_date, source_name"
    ):
        week = weeks.setdefault(
            row["iso_week"],
            {
                "iso_week": row["iso_week"],
                "week_start_date": row["week_start_date"],
                "lookback_start_date": row["lookback_start_date"],
                "lookback_end_date": row["lookback_end_date"],
                "days_in_lookback": row["days_in_lookback"],
                "days_covered": {},
            },
        )
        week["days_covered"][row["source_name"]] = row["days_covered"]
    return list(weeks.values())


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value)
