"""Run dbt in this process: parse, build and docs generate."""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from value_props.errors import ValuePropsError, refused_by_system, remedy_of
from value_props.record.facts import NodeOutcome
from value_props.resources import environment, resolve

EventCallback = Callable[[Any], None]

DBT_VARIABLES = "DBT_"
# A build must reach every node of these kinds. Unit tests run before a change is merged.
BUILT_KINDS = ("model", "seed", "snapshot", "test")
# A build leaves out unit tests: they check the code, not the data.
DATA_ONLY = ("--exclude-resource-type", "unit_test")
MODELS_ONLY = (*DATA_ONLY, "--exclude-resource-type", "test")


@dataclass
class Dbt:
    """dbt with one database file and one target folder.

    Args:
        project: folder of dbt_project.yml.
        database: the DuckDB file that the run fills.
        target_path: folder of dbt's artifacts and its parsed project.
        dbt_vars: values for --vars. dbt parses the project again when they change.
        is_debug: whether dbt writes its debug log.
        writes_artifacts: whether dbt writes manifest.json and run_results.json.
        manifest: the parsed project, once parse() has run.
    """

    project: Path
    database: Path
    target_path: Path
    dbt_vars: Mapping[str, str]
    is_debug: bool = False
    writes_artifacts: bool = False
    manifest: Any = None

    def parse(self) -> None:
        """Parse the project, so that the next build need not."""
        self.manifest = self._invoke(["parse", "--no-write-json"], None)

    def build(
        self, options: Sequence[str] = (), on_event: EventCallback | None = None
    ) -> list[NodeOutcome]:
        """Run `dbt build` and return the outcome of each node.

        Args:
            options: further options of `dbt build`.
            on_event: called with every dbt event.

        Raises:
            ValuePropsError: dbt could not start.
        """
        artifacts = "--write-json" if self.writes_artifacts else "--no-write-json"
        result = self._invoke(["build", artifacts, *options], on_event)
        # dbt also lists hooks. Only a failed hook matters.
        return [
            _outcome_of(item)
            for item in result.results
            if (item.node.resource_type, item.status) != ("operation", "success")
        ]

    def refuse_left_out(self, outcomes: Sequence[NodeOutcome]) -> None:
        """Refuse a build that left out a model or test of the parsed project.

        Raises:
            ValuePropsError: names up to seven of the nodes left out.
        """
        ended = {outcome.name for outcome in outcomes}
        left_out = sorted(
            node.name
            for node in self.manifest.nodes.values()
            if str(node.resource_type) in BUILT_KINDS and node.name not in ended
        )
        if left_out:
            raise ValuePropsError(
                f"dbt left out {len(left_out)} of its models and tests: {', '.join(left_out[:7])}",
                f"Project {self.project}",
                "Find out why dbt left them out, and run again; a run is published only with all of"
                " its tests",
            )

    def generate_docs(self, has_catalog: bool) -> None:
        """Write static_index.html, dbt's docs site in one file, to the target folder.

        Args:
            has_catalog: whether the database holds the models, so that types can be listed.
        """
        self._invoke(
            ["docs", "generate", "--static", *([] if has_catalog else ["--empty-catalog"])], None
        )

    def _invoke(self, arguments: list[str], on_event: EventCallback | None) -> Any:
        with (
            _without_hash(self.database) as database,
            # A DBT_ variable of the user could change what a run builds or tests.
            environment(
                without=DBT_VARIABLES,
                VALUE_PROPS_WORK_DB=str(database),
                **resolve().variables(self.database.parent / "duckdb_temp"),
            ),
        ):
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager
            from dbt.cli.main import dbtRunner

            outcome = dbtRunner(
                manifest=self.manifest, callbacks=[on_event] if on_event else []
            ).invoke([*arguments, *self._flags()])
            # The run exports from the file and moves it next, so it must be closed.
            DuckDBConnectionManager.close_all_connections()
            if not outcome.success:
                # On Python 3.13 the error of a model holds its connection in a cycle.
                gc.collect()
        if isinstance(outcome.exception, KeyboardInterrupt):
            raise outcome.exception
        if outcome.result is None:
            fault = outcome.exception
            if isinstance(fault, OSError):
                raise refused_by_system(fault) from fault
            raise ValuePropsError(
                f"dbt could not start: {fault}", f"Project {self.project}", remedy_of(str(fault))
            ) from fault
        return outcome.result

    def _flags(self) -> list[str]:
        return [
            *("--project-dir", str(self.project)),
            *("--profiles-dir", str(self.project / "profiles")),
            *("--target", "publish"),
            *("--target-path", str(self.target_path)),
            *("--log-path", str(self.target_path / "logs")),
            *("--log-level", "none"),
            *("--log-level-file", "debug" if self.is_debug else "none"),
            *("--vars", json.dumps(dict(self.dbt_vars), sort_keys=True)),
            "--no-use-colors",
        ]


@contextmanager
def _without_hash(path: Path) -> Iterator[Path]:
    """Context manager that yields a path without `#`, which dbt-duckdb cuts a path at."""
    if "#" not in str(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="value_props_") as scratch:
        link = Path(scratch) / "folder"
        link.symlink_to(path.parent)
        yield link / path.name


def _table_of(node: Any, failures: int | None) -> str:
    """Return schema and name of the table that a node built; for a test, of its failing rows."""
    if str(node.resource_type) == "test" and not failures:
        return ""
    # Drop the database name, which is the same in each run.
    return (getattr(node, "relation_name", None) or "").replace('"', "").partition(".")[2]


def _outcome_of(item: Any) -> NodeOutcome:
    node = item.node
    outcome = NodeOutcome(
        name=node.name,
        kind=str(node.resource_type),
        status=str(item.status),
        failures=item.failures or 0,
        seconds=item.execution_time or 0.0,
        message=item.message or "",
        table=_table_of(node, item.failures),
        description=(node.description or "").strip(),
        columns={column.name: column.data_type for column in getattr(node, "columns", {}).values()},
    )
    if outcome.kind != "test":
        return outcome
    generic = getattr(node, "test_metadata", None)
    read = [name.rpartition(".")[2] for name in node.depends_on_nodes]
    return replace(
        outcome,
        model_name=(getattr(node, "attached_node", None) or ", ".join(read)).rpartition(".")[2],
        column_name=getattr(node, "column_name", None),
        rule=generic.name if generic else "singular",
        severity=str(node.config.severity).lower(),
        is_sampled="sampled" in node.config.tags,
    )
