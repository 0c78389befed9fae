"""Every line knows its room: who may read whom, read off the parsed project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.harness import Pipeline

# Folder of a model to the folders that it may read.
MAY_READ = {
    "staging": {"staging"},
    "intermediate": {"staging", "intermediate", "seed"},
    "marts": {"intermediate", "seed"},
    "quality": {"staging", "intermediate", "marts", "quality", "seed"},
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Pipeline(tmp_path_factory.mktemp("layers")).dbt.manifest


def _room(node: Any) -> str:
    return "seed" if node.resource_type == "seed" else Path(node.original_file_path).parts[1]


def _models(manifest: Any) -> list[Any]:
    return [
        node
        for node in manifest.nodes.values()
        if node.resource_type == "model" and node.package_name == "value_props"
    ]


def test_models_read_only_the_layers_they_may(manifest: Any) -> None:
    breaches = [
        (node.name, manifest.nodes[parent].name)
        for node in _models(manifest)
        for parent in node.depends_on.nodes
        if parent in manifest.nodes and _room(manifest.nodes[parent]) not in MAY_READ[_room(node)]
    ]
    assert breaches == []


def test_only_staging_touches_a_source(manifest: Any) -> None:
    readers = {
        node.name
        for node in _models(manifest)
        if any(parent.startswith("source.") for parent in node.depends_on.nodes)
    }
    assert readers == {
        *("raw_files", "base_prints", "base_taps", "base_pays"),
        *("base_redeliveries", "base_rejected_rows", "stg_row_counts"),
    }


def test_every_model_lists_its_columns(manifest: Any) -> None:
    assert [node.name for node in _models(manifest) if not node.columns] == []


def test_only_run_parameters_reads_vars(manifest: Any) -> None:
    readers = {
        node.name
        for node in _models(manifest)
        if "var(" in node.raw_code or "run_parameter(" in node.raw_code
    }
    assert readers == {"run_parameters"}
