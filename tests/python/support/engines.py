"""Run the project on Spark, or on a server that speaks its protocol, to compare with DuckDB."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from support.harness import ROOT, free_port

from value_props.database import literal

# Tables that must be the same on any engine as on DuckDB.
TABLES = {
    "marts": (
        "fct_prints",
        "fct_user_features",
        "fct_value_prop_weeks",
        "fct_position_weeks",
        "dim_value_props",
    ),
    "quality": (
        "row_reconciliation",
        "quarantined_rows",
        "quarantine_rates",
        "completeness_findings",
        "lookback_coverage",
        "schema_drift",
        "run_warnings",
    ),
}
SPARK_BIN = ROOT / ".venv-spark" / "bin"
START_SECONDS = 60


@dataclass(frozen=True)
class Engine:
    """A process that runs dbt on one engine, and the place of its tables.

    Args:
        dbt: the process, see dbt_server.py.
        target: target in the dbt profile.
        folder: folder for the files that dbt writes.
        pattern: glob of a table's Parquet files, with {schema} and {table}.
    """

    dbt: subprocess.Popen[str]
    target: str
    folder: Path
    pattern: str

    def build(self, dbt_vars: Mapping[str, str], options: Sequence[str] = ()) -> None:
        """Run `dbt build`. If it fails, fail the test with its output."""
        arguments = [
            *("build", *options, "--target", self.target, "--vars", json.dumps(dict(dbt_vars))),
            *("--project-dir", str(ROOT), "--profiles-dir", str(ROOT / "profiles")),
            *("--target-path", str(self.folder / "target")),
            *("--log-path", str(self.folder / "logs"), "--log-level-file", "warn"),
            "--no-use-colors",
        ]
        assert self.dbt.stdin
        assert self.dbt.stdout
        self.dbt.stdin.write(json.dumps(arguments) + "\n")
        self.dbt.stdin.flush()
        answer = self.dbt.stdout.readline()
        assert answer == "true\n", (self.folder / "dbt.log").read_text(encoding="utf-8")

    def differences(self, database: Path) -> dict[str, int]:
        """Return the number of rows that only one of the engines has, for each table that differs.

        Args:
            database: the DuckDB database to compare with.
        """
        found = {}
        with duckdb.connect(str(database), read_only=True) as connection:
            for schema, tables in TABLES.items():
                for table in tables:
                    files = self.pattern.format(schema=schema, table=table)
                    read = f"read_parquet({literal(files)}, hive_partitioning = false)"
                    query = f"""
                        with here as (from {schema}.{table}), there as (from {read})
                        select count(*) from (
                            (from here except all from there)
                            union all (from there except all from here)
                        )
                    """
                    [rows] = connection.execute(query).fetchall()
                    if rows[0]:
                        found[f"{schema}.{table}"] = rows[0]
        return found


@contextmanager
def sail(folder: Path, store: Path) -> Iterator[Engine]:
    """Start a Sail server, which needs no Java. Its catalog starts empty and is not kept."""
    port = free_port()
    command = [sys.executable, "-m", "pysail", "spark", "server", "--port", str(port)]
    with _running([*command, "--directory", str(folder)], folder / "sail.log"):
        _wait_for_port(port)
        environment = {"SPARK_REMOTE": f"sc://127.0.0.1:{port}", "VALUE_PROPS_STORE": str(store)}
        pattern = str(folder / "spark-warehouse" / "{table}-*" / "*.parquet")
        with _dbt_on(Path(sys.executable), folder, environment) as dbt:
            yield Engine(dbt, "spark_connect", folder, pattern)


@contextmanager
def spark(folder: Path, store: Path, master: str = "local[2]") -> Iterator[Engine]:
    """Start a Spark application in the process of dbt, locally or on a cluster.

    Args:
        folder: folder for the files of dbt and Spark.
        store: folder to which `value-props load` exported.
        master: Spark master; local[2] is two threads without a cluster.
    """
    environment = {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "scratch"),
        # Most code runs only a few times, so optimizing it with a second compilation does not pay.
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1",
        "VALUE_PROPS_SPARK_MASTER": master,
        "VALUE_PROPS_SPARK_MEMORY": "1g",
        "VALUE_PROPS_SPARK_PARTITIONS": "2",
        "VALUE_PROPS_SPARK_WAREHOUSE": str(folder / "warehouse"),
        "VALUE_PROPS_STORE": str(store),
    }
    pattern = str(folder / "warehouse" / "{schema}.db" / "{table}" / "*.parquet")
    with _dbt_on(SPARK_BIN / "python", folder, environment) as dbt:
        yield Engine(dbt, "spark", folder, pattern)


@contextmanager
def spark_cluster(folder: Path) -> Iterator[tuple[str, str]]:
    """Start a Spark master and two workers of one core each on the loopback address.

    Yields:
        The address of the master, and the address of its status page.
    """
    port, page_port = free_port(), free_port()
    master = f"spark://127.0.0.1:{port}"
    [home] = SPARK_BIN.parent.glob("lib/python*/site-packages/pyspark")
    arguments = {
        "master.Master": ["--port", str(port), "--webui-port", str(page_port)],
        "worker.Worker": ["--cores", "1", "--memory", "1g", "--webui-port", "0", master],
    }
    with ExitStack() as processes:
        for number, name in enumerate(("master.Master", "worker.Worker", "worker.Worker")):
            scratch = folder / f"{name}.{number}"
            scratch.mkdir()
            environment = {
                "SPARK_HOME": str(home),
                "SPARK_LOCAL_IP": "127.0.0.1",
                "SPARK_LOCAL_DIRS": str(scratch),
                "SPARK_WORKER_DIR": str(scratch),
            }
            command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}"]
            processes.enter_context(
                _running(
                    [*command, "--host", "127.0.0.1", *arguments[name]],
                    scratch.with_suffix(".log"),
                    environment,
                )
            )
            _wait_for_port(port)
        _wait_for_port(page_port)
        yield master, f"http://127.0.0.1:{page_port}/json/"


def cores_in_use(page: str) -> list[int]:
    """Return the number of cores that executors use on each live worker.

    Args:
        page: address of the master's status page.
    """
    with urllib.request.urlopen(page, timeout=10) as answer:
        status = json.load(answer)
    return [worker["coresused"] for worker in status["workers"] if worker["state"] == "ALIVE"]


@contextmanager
def _dbt_on(
    python: Path, folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Context manager that runs dbt_server.py. Its log is in dbt.log."""
    with (folder / "dbt.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("dbt_server.py"))],
            env={**os.environ, **environment},
            cwd=folder,
            errors="replace",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
        )
        with process:
            yield process


@contextmanager
def _running(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Context manager that runs a process during the block."""
    variables = {**os.environ, **(environment or {})}
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, env=variables, stdout=output, stderr=output)
        try:
            yield
            assert process.poll() is None, log.read_text(encoding="utf-8")
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)


def _wait_for_port(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, f"nothing listens at port {port}"
            time.sleep(0.2)
        else:
            return
