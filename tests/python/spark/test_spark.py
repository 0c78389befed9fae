"""Spark and DuckDB build the same tables from the same parsed files, row by row.

The fast tests run on Sail, which reads Spark's SQL and speaks Spark Connect without Java. Those
marked `spark` run on Spark itself: in one process, and on a cluster of two workers.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from support.engines import SPARK_BIN, Engine, cores_in_use, sail, spark, spark_cluster
from support.harness import ROOT, Pipeline, vars_of
from support.odd_values import STRANGE_VALUE_PROPS, VALUE_PROPS_OF_JSON_ONLY
from support.raw_data import big_case

from value_props.run.dbt import MODELS_ONLY

# Each anchor, and a cut-off before the data ends.
RUNS: dict[str, dict[str, str]] = {
    "week": {"lookback_anchor": "week", "week_rule": "complete", "serving_features": "true"},
    "print_to_a_cut_off": {
        "lookback_anchor": "print",
        "lookback_weeks": "1",
        "as_of_date": "2020-12-23",
        "week_rule": "latest",
        "serving_features": "true",
    },
}
# The tests judge one of the runs.
OPTIONS: dict[str, tuple[str, ...]] = {"week": (), "print_to_a_cut_off": MODELS_ONLY}


@dataclass(frozen=True)
class Delivery:
    """What DuckDB parsed, and what it built of it.

    Args:
        store: the parsed files.
        databases: of DuckDB, by the name of the run.
        dbt_vars: of each run.
    """

    store: Path
    databases: Mapping[str, Path]
    dbt_vars: Mapping[str, dict[str, str]]


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    """Two files a source, strange texts, one row in fifty broken or redelivered."""
    folder = tmp_path_factory.mktemp("delivery")
    pipeline = Pipeline(folder)
    case = big_case(seed=11, rows=1_500)
    strange = [
        json.dumps({"day": "2020-12-22", "user_id": user, "event_data": event}, ensure_ascii=False)
        for user, text in enumerate((*STRANGE_VALUE_PROPS, *VALUE_PROPS_OF_JSON_ONLY), start=1)
        for event in [{"position": 0, "value_prop": text}]
    ]
    case.files["prints_strange.json"] = "\n".join(strange).encode()
    pipeline.write(case.files)
    paths = {"--raw": pipeline.raw_path, "--out": folder / "out", "--to": folder / "store"}
    # It takes as long as the builds below, and needs nothing of them.
    load = subprocess.Popen(
        [
            *(sys.executable, "-c", "from value_props.cli.program import main; main()", "load"),
            *(str(part) for pair in paths.items() for part in pair),
        ],
        cwd=ROOT,
    )
    databases, dbt_vars = {}, {}
    for name, parameters in RUNS.items():
        dbt_vars[name] = {**vars_of(case.parameters), **parameters}
        outcomes = pipeline.run(dbt_vars[name])
        assert [outcome for outcome in outcomes if outcome.status == "error"] == []
        databases[name] = folder / f"{name}.duckdb"
        shutil.copyfile(pipeline.database, databases[name])
    assert load.wait() == 0
    return Delivery(folder / "store", databases, dbt_vars)


def test_the_delivery_holds_what_engines_may_read_differently(delivery: Delivery) -> None:
    """Else the tests below would compare nothing."""
    for database in delivery.databases.values():
        with duckdb.connect(str(database), read_only=True) as connection:
            [counts] = connection.execute(
                """
                select
                    (select count(*) from marts.fct_prints),
                    (select count(*) from marts.fct_prints where prior_amount > 0),
                    (select count(*) from staging.base_redeliveries),
                    (select count(*) from quality.quarantined_rows
                     where quarantine_reason = 'duplicate'),
                    (select count(*) from quality.schema_drift),
                    (select count(*) from marts.fct_prints where not value_prop ~ '^[a-z_]+$')
                """
            ).fetchall()
            assert min(counts) > 0, counts


@pytest.mark.parametrize("name", RUNS)
def test_sail_builds_what_duckdb_builds(delivery: Delivery, name: str, tmp_path: Path) -> None:
    with sail(tmp_path, delivery.store) as engine:
        engine.build(delivery.dbt_vars[name], OPTIONS[name])
        assert engine.differences(delivery.databases[name]) == {}


@pytest.fixture(scope="module")
def _has_spark() -> None:
    if not (SPARK_BIN / "dbt").exists():
        pytest.fail("dbt-spark is not in .venv-spark; `make spark` installs it")


@pytest.fixture(scope="module")
def local(
    _has_spark: None, delivery: Delivery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with spark(tmp_path_factory.mktemp("local"), delivery.store) as engine:
        yield engine


@pytest.fixture(scope="module")
def cluster(
    _has_spark: None, delivery: Delivery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, str]]:
    """With the status page of its master."""
    folder = tmp_path_factory.mktemp("cluster")
    with spark_cluster(folder) as (master, page), spark(folder, delivery.store, master) as engine:
        yield engine, page


@pytest.mark.spark
@pytest.mark.parametrize("name", RUNS)
def test_spark_builds_what_duckdb_builds(delivery: Delivery, name: str, local: Engine) -> None:
    local.build(delivery.dbt_vars[name], OPTIONS[name])
    assert local.differences(delivery.databases[name]) == {}


@pytest.mark.spark
@pytest.mark.parametrize("name", RUNS)
def test_a_cluster_builds_what_duckdb_builds_on_both_workers(
    delivery: Delivery, name: str, cluster: tuple[Engine, str]
) -> None:
    engine, page = cluster
    engine.build(delivery.dbt_vars[name], MODELS_ONLY)
    assert cores_in_use(page) == [1, 1]
    assert engine.differences(delivery.databases[name]) == {}
