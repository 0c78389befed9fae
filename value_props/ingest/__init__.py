"""Turn raw files into parsed rows: find, fingerprint, read and keep them.

In: a folder of raw files. Out: a set of Parquet files for each content, and an inventory that
says which raw file has which content. stage.py shows both to dbt as its sources.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event

from value_props.errors import ValuePropsError
from value_props.ingest.find import find_raw_files, stamp_of
from value_props.ingest.inventory import Inventory, RawFile
from value_props.ingest.keep import ParsedFiles, Remembered
from value_props.ingest.reading import Trust, opened_reading

__all__ = ["Inventory", "RawFile", "Trust", "ingest"]


def ingest(
    raw_path: Path,
    parsed_files: ParsedFiles,
    trust: Trust = Trust.STAMPS,
    stop: Event | None = None,
) -> Inventory:
    """Read every raw file that is new or changed, and keep its parsed rows.

    Args:
        raw_path: folder with the raw files.
        parsed_files: results of earlier runs. This run adds its own.
        trust: how far to trust those results.
        stop: another thread sets it to end the reading.

    Raises:
        ValuePropsError: a raw file stops the run. If several do, the error names the first in
            the order of files.
    """
    read_at = time.time_ns()
    found = find_raw_files(raw_path)
    parsed_files.prepare()
    with opened_reading(parsed_files, trust, stop or Event()) as reading:
        by_path = reading.all_of(found)
    files = [by_path[file.absolute_path] for file in found]
    inventory = Inventory(files)
    inventory.check_unchanged()
    _refuse_equal_contents(files)
    if any(file.is_read for file in files):
        parsed_files.sync()
        others = {
            path: file
            for path, file in parsed_files.remembered().items()
            if path not in by_path and file.stamp == stamp_of(Path(path))
        }
        ours = {path: Remembered(file.found.stamp, file.facts) for path, file in by_path.items()}
        parsed_files.remember(others | ours, read_at)
    return inventory


def _refuse_equal_contents(files: list[RawFile]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for file in files:
        # Two files without rows are harmless, because no row counts twice.
        if file.content.row_count == 0:
            continue
        key = (file.found.source_name, file.facts.content_sha256)
        if key in seen:
            raise ValuePropsError(
                f"it has the same content as {seen[key]}, which would count its rows twice",
                f"Raw file {file.found.path}",
                "Remove one of the two",
            )
        seen[key] = file.found.path
