"""What users of dbt type in the root of the project does what they expect; docs/dbt.md lists it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import duckdb
import psutil
import pytest
from support.harness import CLEAN, ROOT, files_of_project, free_port
from support.plain_dbt import PlainDbt, plain_dbt

from value_props.run.packages import install_packages

SERVING = ("--vars", "{serving_features: true}", "--target-path", "target/serving")
FAILING_TEST = "tests/singular/assert_of_a_user.sql"
MART = "models/marts/fct_prints.sql"
CATALOGUE = "seeds/value_props.csv"
DATABASE = "data/dev.duckdb"


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainDbt]:
    """dbt in a new clone, with its packages and raw data. Nothing is built."""
    folder = tmp_path_factory.mktemp("user")
    project = folder / "clone"
    for path in files_of_project():
        copy = project / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    shutil.copytree(ROOT / "dbt_packages", project / "dbt_packages")
    shutil.copytree(CLEAN, project / "data" / "raw")
    with plain_dbt(project, folder / "home") as running:
        yield running


@pytest.fixture(scope="module")
def before(dbt: PlainDbt) -> dict[str, str]:
    """What commands print before the first build."""
    return {
        "test": dbt("test", "--select", "fct_prints", exit_code=1),
        "freshness": dbt("source", "freshness", exit_code=1),
        "show": dbt("show", "--select", "fct_prints", exit_code=2),
        "compile": dbt("compile", "--select", "fct_prints"),
        "docs": dbt("docs", "generate"),
        "tables": str(dbt.artifact("catalog")["nodes"]),
    }


@pytest.fixture(scope="module")
def built(before: dict[str, str], dbt: PlainDbt) -> PlainDbt:
    """The clone after `dbt build`. A test that changes something takes it back."""
    assert before
    before["build"] = dbt("build")
    return dbt


def rows(dbt: PlainDbt, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(dbt.database), read_only=True) as connection:
        return connection.execute(query).fetchall()


def count(dbt: PlainDbt, relation: str) -> object:
    return rows(dbt, f"select count(*) from {relation}")[0][0]


def test_before_a_build_dbt_names_the_cause_once(before: dict[str, str]) -> None:
    for command in ("test", "freshness"):
        refusal = "data/dev.duckdb has no tables yet. Run `dbt build` first."
        assert before[command].count(refusal) == 1
        assert "does not exist" not in before[command]
    assert "does not exist" in before["show"]
    assert "prior_views" in before["compile"]
    assert "Catalog written" in before["docs"]
    assert before["tables"] == "{}"


def test_a_full_parse_misses_no_test_that_is_described(
    before: dict[str, str], dbt: PlainDbt
) -> None:
    assert "Starting full parse" in before["test"]
    assert "Did not find matching node" not in before["test"]
    strict = ("--warn-error-options", '{"error": ["NoNodeForYamlKey", "Deprecations"]}')
    answer = dbt(*strict, "ls", "--resource-type", "exposure", *SERVING)
    assert "exposure:value_props.features_parquet" in answer


def test_build_fills_the_development_file_and_publishes_nothing(
    before: dict[str, str], built: PlainDbt
) -> None:
    assert "WARN=0 ERROR=0 SKIP=0 NO-OP=0" in before["build"]
    assert sorted(path.name for path in (built.project / "data").iterdir()) == [
        *("README.md", "dev.duckdb", "dev.duckdb.parsed", "raw"),
    ]
    # dbt would keep an id of the user here to send usage statistics.
    assert not (built.project / ".user.yml").exists()
    assert list(built.home.iterdir()) == []


def test_test_runs_every_test(built: PlainDbt) -> None:
    built("test")
    manifest = built.artifact("manifest")
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    assert len(built.results()) == len(tests) + len(manifest["unit_tests"])
    assert set(built.results().values()) == {"pass"}


def test_debug_finds_nothing_wrong(built: PlainDbt) -> None:
    assert "All checks passed" in built("debug")


def test_ls_lists_exposures_too(built: PlainDbt) -> None:
    assert "value_props.marts.fct_prints" in built("ls").splitlines()
    exposures = built("ls", "--resource-type", "exposure", "--output", "name")
    assert exposures.splitlines()[-3:] == ["analysts_file", "final_csv", "final_parquet"]
    seeds = built(
        "ls", "--select", "resource_type:seed", "--resource-type", "seed", "--output", "name"
    )
    assert seeds.splitlines()[-1] == "value_props"


def test_show_prints_rows(built: PlainDbt) -> None:
    assert "| 2020-W48 |" in built("show", "--select", "fct_prints")
    query = "select count(*) as prints from {{ ref('fct_prints') }}"
    assert re.search(
        rf"\| +{count(built, 'marts.fct_prints')} \|", built("show", "--inline", query)
    )


def test_compile_prints_the_sql(built: PlainDbt) -> None:
    assert 'from "dev"."intermediate"."int_report_prints"' in built(
        "compile", "--select", "fct_prints"
    )


def test_source_freshness_passes_after_a_build(built: PlainDbt) -> None:
    assert built("source", "freshness").count("PASS freshness of raw.") == 3


def test_a_selected_seed_and_snapshot_run_alone(built: PlainDbt) -> None:
    with built.changed(CATALOGUE, DATABASE):
        built("snapshot")
        assert count(built, "snapshots.snap_value_props") == 7
        catalogue = (built.project / CATALOGUE).read_text(encoding="utf-8")
        assert ",Point," in catalogue
        changed = catalogue.replace(",Point,", ",A point,")
        (built.project / CATALOGUE).write_text(changed, encoding="utf-8")
        assert "INSERT 7" in built("seed")
        built("snapshot")
        versions = "snapshots.snap_value_props where value_prop = 'point'"
        assert count(built, versions) == 2


def test_run_operation_runs_a_macro(built: PlainDbt) -> None:
    with built.changed("macros/greet.sql"):
        macro = "{% macro greet(name) %}{% do log('Hello ' ~ name, info=true) %}{% endmacro %}"
        (built.project / "macros" / "greet.sql").write_text(macro, encoding="utf-8")
        assert "Hello you" in built("run-operation", "greet", "--args", "{name: you}")


def test_state_modified_builds_what_changed(built: PlainDbt) -> None:
    state = built.project / "state"
    shutil.copytree(built.project / "target", state)
    command = ("build", "--select", "state:modified+", "--state", "state")
    assert "Nothing to do" in built(*command)
    with built.changed(MART):
        with (built.project / MART).open("a", encoding="utf-8") as model:
            model.write("where true\n")
        # There is one file, so the state and the target name the same tables.
        built(*command, "--defer")
        results = built.results()
        assert {name for name, status in results.items() if status == "success"} == {"fct_prints"}
        assert results["assert_clicks_match_taps"] == "pass"


def test_retry_runs_what_failed_and_what_was_skipped(built: PlainDbt) -> None:
    with built.changed(FAILING_TEST):
        path = built.project / FAILING_TEST
        path.write_text("select * from {{ ref('int_report_prints') }}", encoding="utf-8")
        built("build", "--select", "int_report_prints", "fct_prints", exit_code=1)
        assert built.results()["fct_prints"] == "skipped"
        built("retry", exit_code=1)
        path.write_text("select * from {{ ref('int_report_prints') }} where false", "utf-8")
        built("retry")
        assert "int_report_prints" not in built.results()
        assert built.results()["assert_of_a_user"] == "pass"
        assert built.results()["fct_prints"] == "success"


def test_an_empty_build_passes_and_keeps_the_snapshot(built: PlainDbt) -> None:
    broken = "select no_such_column from {{ ref('fct_prints') }}"
    versions = "snapshots.snap_value_props where dbt_valid_to is null"
    with built.changed(DATABASE, FAILING_TEST):
        built("build", "--empty")
        assert set(built.results().values()) == {"success", "pass"}
        assert "int_run_window__one_row" in built.results()
        for table in ("marts.fct_prints", "staging.base_prints", "intermediate.int_run_window"):
            assert count(built, table) == 0
        assert count(built, "raw.prints") != 0
        assert count(built, versions) == 7
        # Without the flag the same test fails, and with it faulty SQL does.
        built("test", "--select", "int_run_window__one_row", exit_code=1)
        (built.project / FAILING_TEST).write_text(broken, encoding="utf-8")
        built("build", "--empty", "--select", "assert_of_a_user", exit_code=1)


def test_serving_features_are_built_with_their_tests(built: PlainDbt) -> None:
    with built.changed(DATABASE):
        built("build", *SERVING, "--select", "+fct_user_features")
        assert "prior_views" in built(
            *(
                "show",
                *SERVING,
                "--inline",
                "select prior_views from {{ ref('fct_user_features') }}",
            )
        )
    answer = built("show", "--select", "fct_user_features")
    assert "does not match any enabled nodes" in answer


def test_a_misspelt_var_is_refused(built: PlainDbt) -> None:
    said = built("build", "--vars", "{lookback_week: 2}", exit_code=2)
    assert "Var lookback_week: the project has no such var. Its vars are raw_path, as_of" in said
    built("show", "--inline", "select 1", "--vars", "{'dbt_date:time_zone': UTC}")


def test_clone_is_refused(built: PlainDbt) -> None:
    before = count(built, "marts.fct_prints")
    shutil.copytree(built.project / "target", built.project / "clones")
    state = ("--state", "clones", "--select", "fct_prints")
    assert "already exists" in built("clone", *state)
    answer = built("clone", "--full-refresh", *state, exit_code=1)
    assert "DuckDB clones no tables. Copy the database file." in answer
    assert count(built, "marts.fct_prints") == before


def test_an_open_shell_is_named(built: PlainDbt) -> None:
    for is_read_only in (False, True):
        with closing(duckdb.connect(str(built.database), read_only=is_read_only)):
            answer = built("build", exit_code=2)
        assert re.search(r"Could not set lock on file .*data/dev\.duckdb.*\(PID [0-9]+\)", answer)


def test_dbt_runs_in_the_root_only(built: PlainDbt) -> None:
    answer = built("ls", cwd=built.project / "models", exit_code=2)
    assert "Invalid value for '--profiles-dir'" in answer


def test_docs_are_served_to_this_machine_only(built: PlainDbt) -> None:
    built("docs", "generate")
    assert built.artifact("manifest")["metadata"]["send_anonymous_usage_stats"] is False
    assert "model.value_props.fct_prints" in built.artifact("catalog")["nodes"]
    port = str(free_port())
    command = [
        sys.executable,
        "-m",
        "dbt.cli.main",
        "docs",
        "serve",
        "--no-browser",
        "--port",
        port,
    ]
    with subprocess.Popen(command, cwd=built.project, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            listening: list[str] = []
            while not listening and time.monotonic() < deadline:
                time.sleep(0.1)
                sockets = psutil.Process(server.pid).net_connections("inet")
                listening = [socket.laddr.ip for socket in sockets if socket.status == "LISTEN"]
            assert listening == ["127.0.0.1"]
            with urlopen(f"http://127.0.0.1:{port}/") as page:
                assert b"<title>dbt Docs</title>" in page.read()
        finally:
            server.terminate()


def test_clean_keeps_the_packages_and_the_data(built: PlainDbt) -> None:
    built("clean")
    assert not (built.project / "target").exists()
    # Says that there is nothing to serve.
    assert "target" in built("docs", "serve", "--no-browser", exit_code=2)
    assert "OK created" in built("run", "--select", "run_parameters")
    assert count(built, "marts.fct_prints") != 0


def test_deps_needs_the_hub_and_value_props_deps_does_not(dbt: PlainDbt, tmp_path: Path) -> None:
    for name in ("dbt_project.yml", "packages.yml", "package-lock.yml", "profiles.yml"):
        shutil.copy2(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "packages", tmp_path / "packages")
    install_packages(tmp_path, "standin")
    dbt("deps", cwd=tmp_path, exit_code=2)
    assert list((tmp_path / "dbt_packages").iterdir()) == []
    assert 'Run "dbt deps"' in dbt("parse", cwd=tmp_path, exit_code=2)
    install_packages(tmp_path, "standin")
    dbt("parse", cwd=tmp_path)
