"""The lineage of columns as one page that needs no network, drawn by dbt-colibri."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

START = "model.value_props.fct_prints"
# In the meta of a column of a base model: the field of its source that it is parsed from.
RAW_FIELD = "raw_field"
# The page carries a client of a usage service; this keeps it, and all else, from the network.
POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
    " script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:\">"
)


def write_column_lineage(artifacts: Path, page: Path) -> None:
    """Write the page, which opens with fct_prints.

    SQL tells which columns a column is made of, but a base model parses lines of text, so there
    the lineage goes on with what the model declares.

    Args:
        artifacts: folder of dbt's manifest.json and catalog.json.
        page: where it goes.

    Raises:
        ImportError: dbt-colibri is not installed.
    """
    # Not its command line, which asks the package index for a newer version.
    from dbt_colibri.lineage_extractor import extractor
    from dbt_colibri.report import generator

    manifest = json.loads((artifacts / "manifest.json").read_text(encoding="utf-8"))
    catalog = json.loads((artifacts / "catalog.json").read_text(encoding="utf-8"))
    catalog["sources"] = {
        source_id: _catalog_entry(source) for source_id, source in manifest["sources"].items()
    }
    with_sources = artifacts / "catalog_with_sources.json"
    with_sources.write_text(json.dumps(catalog), encoding="utf-8")
    data = generator.DbtColibriReportGenerator(
        extractor.DbtColumnLineageExtractor(str(artifacts / "manifest.json"), str(with_sources))
    ).build_full_lineage()
    _add_raw_fields(data, manifest)
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


def raw_fields(manifest: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What each column of the base models is parsed from, as the models declare it.

    Returns:
        Source id, field, model id, column.
    """
    return [
        (source_id, column["config"]["meta"][RAW_FIELD], node_id, column["name"])
        for source_id in manifest["sources"]
        for node_id in manifest["child_map"][source_id]
        for column in manifest["nodes"][node_id]["columns"].values()
        if RAW_FIELD in column["config"]["meta"]
    ]


def _catalog_entry(source: dict[str, Any]) -> dict[str, Any]:
    """What dbt would say of the source if it were a table; its fields are texts."""
    return {
        "unique_id": source["unique_id"],
        "metadata": {key: source[key] for key in ("database", "schema", "name")},
        "columns": {name: {"name": name, "type": "VARCHAR"} for name in source["columns"]},
    }


def _add_raw_fields(data: dict[str, Any], manifest: dict[str, Any]) -> None:
    edges = data["lineage"]["edges"]
    for source_id, field, node_id, column in raw_fields(manifest):
        edges.append(
            {
                "id": len(edges) + 1,
                "source": source_id,
                "target": node_id,
                "sourceColumn": field,
                "targetColumn": column,
            }
        )
        data["nodes"][source_id]["columns"][field]["hasLineage"] = True
        data["nodes"][node_id]["columns"][column]["hasLineage"] = True
        data["nodes"][node_id]["columns"][column]["lineageType"] = "transformation"
