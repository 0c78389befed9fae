"""Make and send the OpenLineage events of an ended dbt run.

lineage.py runs this module as a process. It reads a DbtRun as JSON from stdin and writes one line
of JSON to stdout: `sent`, the number of sent events, and `problem`, why it stopped, or null.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from openlineage.client.client import OpenLineageClient
from openlineage.client.event_v2 import RunEvent, RunState
from openlineage.client.facet_v2 import tags_run
from openlineage.common.provider.dbt import DbtLocalArtifactProcessor, ParentRunMetadata
from openlineage.common.provider.dbt.utils import PRODUCER, get_parent_run_metadata
from openlineage.dbt import dbt_run_event

from value_props.notify.lineage import DEADLINE_SECONDS, DbtRun

# By default the client sends the URL of the repository from .git, which may contain a token.
CLIENT_CONFIG = {"facets": {"source_code_location": {"disabled": True}}}
RUN_FACETS = ("dbt_version", "processing_engine", "dbt_run")
_ALL_OF_TABLE = re.compile(r'select \* from ("\w+"\."\w+"\."\w+")')
_ALL_OF_LAST = re.compile(r"select \* from (\w+)\s*$")


class Processor(DbtLocalArtifactProcessor):  # type: ignore[misc]
    """Reads dbt's artifacts, and takes the columns from the database that the run filled."""

    def __init__(self, run: DbtRun) -> None:
        super().__init__(
            project_dir=run.project,
            target="publish",
            target_path=run.target_path,
            producer=PRODUCER,
            job_namespace=os.environ.get("OPENLINEAGE_NAMESPACE", "value-props"),
            # A node with an unknown status must not prevent the events of other nodes.
            skip_errors=True,
        )
        self._run = run
        self._columns: dict[str, list[str]] = {}
        self._columns_by_sql: dict[str, list[str]] = {}

    def get_dbt_metadata(self) -> tuple[Any, Any, Any, Any]:
        """Return the manifest, run results, profile and catalog to the library."""
        manifest, run_results, profile, _ = super().get_dbt_metadata()
        # The library would report a skipped test as failed.
        run_results["results"] = [
            result for result in run_results["results"] if result["status"] != "skipped"
        ]
        catalog: dict[str, Any] = {"nodes": {}, "sources": {}}
        tables = _tables(self._run.database)
        for unique_id, node in manifest["nodes"].items():
            if node.get("language") == "python":
                # The library would send Python code as SQL.
                node["compiled_code"] = None
            if columns := tables.get(node["relation_name"] or ""):
                catalog["nodes"][unique_id] = {"columns": columns}
                self._columns_by_sql[node.get("compiled_code") or ""] = list(columns)
        self._columns = {name: list(columns) for name, columns in tables.items()}
        return manifest, run_results, profile, catalog

    def extract_namespace(self, profile: dict[str, Any]) -> str:
        """Return the namespace of the datasets.

        It names the published file, because readers never see the one in the work folder.
        """
        return f"duckdb://{self._run.published}"

    def get_column_lineage(self, namespace: str, compiled_sql: str) -> Any:
        """Return the lineage of the columns that come from known tables, or None."""
        # The library's parser does not know the columns of tables, so `select *` would end the
        # lineage at the import CTE.
        sql = _ALL_OF_TABLE.sub(
            lambda found: _select(self._columns.get(found[1], []), found), compiled_sql
        )
        sql = _ALL_OF_LAST.sub(
            lambda found: _select(self._columns_by_sql.get(compiled_sql, []), found), sql
        )
        lineage = super().get_column_lineage(namespace, sql)
        if lineage is None:
            return None
        known = {name.replace('"', "") for name in self._columns}
        for field in lineage.fields.values():
            field.inputFields = [item for item in field.inputFields if item.name in known]
        lineage.fields = {
            name: field for name, field in lineage.fields.items() if field.inputFields
        }
        return lineage if lineage.fields else None


def make_events(run: DbtRun) -> Iterator[RunEvent]:
    """Yield the start event of the run, the events of its models and tests, and its end event."""
    processor = Processor(run)
    caller = get_parent_run_metadata()
    run_uuid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"value-props:{run.run_id}"))
    start, end = (
        dbt_run_event(state, processor.job_name, processor.job_namespace, run_uuid, caller)
        for state in (RunState.START, RunState.COMPLETE if run.is_passed else RunState.FAIL)
    )
    start.eventTime = run.started_at
    has_root = caller and caller.root_parent_run_id
    processor.dbt_run_metadata = ParentRunMetadata(
        run_id=run_uuid,
        job_name=start.job.name,
        job_namespace=start.job.namespace,
        root_parent_run_id=caller.root_parent_run_id if has_root else run_uuid,
        root_parent_job_name=caller.root_parent_job_name if has_root else start.job.name,
        root_parent_job_namespace=(
            caller.root_parent_job_namespace if has_root else start.job.namespace
        ),
    )
    of_nodes = processor.parse().events() if _is_of_run(processor.run_result_path, run) else []
    facets = {
        "tags": tags_run.TagsRunFacet(
            tags=[tags_run.TagsRunFacetFields("value_props_run_id", run.run_id, "VALUE_PROPS")]
        ),
        **{name: of_nodes[0].run.facets[name] for name in RUN_FACETS if of_nodes},
    }
    for event in (start, end):
        event.run.facets.update(facets)
    yield from (start, *of_nodes, end)


def send(run: DbtRun) -> tuple[int, str | None]:
    """Send the events of a run. Stop at the first error.

    Returns:
        The number of sent events, and the error, or None. The error is only a type and a status,
        because its text may quote the receiver.
    """
    sent = 0
    try:
        client = OpenLineageClient(config=CLIENT_CONFIG)
        if client.transport.kind == "console":
            return 0, "the OpenLineage configuration names no transport"
        for event in make_events(run):
            client.emit(event)
            sent += 1
        client.close(DEADLINE_SECONDS)
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", "")
        return sent, f"{type(error).__name__} {status}".strip()
    return sent, None


def _is_of_run(run_results: str, run: DbtRun) -> bool:
    """Return whether this run wrote run_results.json. It may be missing or from an older run."""
    try:
        with Path(run_results).open(encoding="utf-8") as file:
            written_at = json.load(file)["metadata"]["generated_at"]
    except FileNotFoundError:
        return False
    started_at = datetime.datetime.fromisoformat(run.started_at)
    return datetime.datetime.fromisoformat(written_at) >= started_at


def _tables(database: str) -> dict[str, dict[str, dict[str, str]]]:
    """Return the columns of each table and view, in order, by the quoted name of the table."""
    query = """
        select database_name, schema_name, table_name, column_name, data_type
        from duckdb_columns() where not internal order by table_oid, column_index
    """
    tables: dict[str, dict[str, dict[str, str]]] = {}
    with duckdb.connect(database, read_only=True) as connection:
        for catalog, schema, table, name, kind in connection.execute(query).fetchall():
            columns = tables.setdefault(f'"{catalog}"."{schema}"."{table}"', {})
            columns[name] = {"name": name, "type": kind}
    return tables


def _select(columns: list[str], found: re.Match[str]) -> str:
    return f"select {', '.join(columns)} from {found[1]}" if columns else found[0]  # nosec B608


def main() -> None:
    """Read the run from stdin, send its events, and write the answer to stdout."""
    sent, problem = send(DbtRun(**json.load(sys.stdin)))
    sys.stdout.write("\n" + json.dumps({"sent": sent, "problem": problem}) + "\n")


if __name__ == "__main__":
    main()
