"""Write the column lineage as one offline page, drawn by dbt-colibri."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

START = "model.value_props.fct_prints"
# The page contains a usage tracker. This policy blocks all network access.
POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
    " script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:\">"
)


def write_column_lineage(artifacts: Path, page: Path) -> None:
    """Write the page. It opens with fct_prints.

    Args:
        artifacts: folder with dbt's manifest.json and catalog.json.
        page: the file to write.

    Raises:
        ImportError: dbt-colibri is not installed.
    """
    # The command line of dbt-colibri would ask the package index for a newer version.
    from dbt_colibri.lineage_extractor import extractor
    from dbt_colibri.report import generator

    manifest = json.loads((artifacts / "manifest.json").read_text(encoding="utf-8"))
    catalog = json.loads((artifacts / "catalog.json").read_text(encoding="utf-8"))
    # The extractor needs an entry for each source, and dbt's catalog may lack them.
    catalog["sources"] = {
        source_id: _catalog_entry(source) for source_id, source in manifest["sources"].items()
    } | catalog["sources"]
    with_sources = artifacts / "catalog_with_sources.json"
    with_sources.write_text(json.dumps(catalog), encoding="utf-8")
    data = generator.DbtColibriReportGenerator(
        extractor.DbtColumnLineageExtractor(str(artifacts / "manifest.json"), str(with_sources))
    ).build_full_lineage()
    data["nodes"] = {START: data["nodes"][START], **data["nodes"]}
    generator.inject_data_into_html(
        {name: data[name] for name in ("metadata", "nodes", "lineage", "tree")},
        str(Path(generator.__file__).with_name("index.html")),
        str(page),
        disable_telemetry=True,
    )
    html = page.read_text(encoding="utf-8")
    html = html.replace("<head>", f"<head>{POLICY}", 1)
    page.write_text(
        html.replace("<title>Colibri Data", "<title>Lineage of columns", 1), encoding="utf-8"
    )


def _catalog_entry(source: dict[str, Any]) -> dict[str, Any]:
    """Return a catalog entry for a source. Types are unknown, so all are VARCHAR."""
    return {
        "unique_id": source["unique_id"],
        "metadata": {key: source[key] for key in ("database", "schema", "name")},
        "columns": {name: {"name": name, "type": "VARCHAR"} for name in source["columns"]},
    }
