"""Memory, threads and temporary files: what is asked for reaches every connection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from support.harness import CLEAN, ROOT, RUN_DATE

from value_props.cli.program import cli
from value_props.database import opened
from value_props.errors import ExitCode, ValuePropsError
from value_props.publish.out_path import OutPath
from value_props.resources import RESOURCES, Resources, resolve
from value_props.run import build
from value_props.run.dbt import MODELS_ONLY, Dbt
from value_props.run.request import Run

SETTINGS = ("threads", "memory_limit", "max_temp_directory_size", "temp_directory")
QUERY = "select " + ", ".join(f"current_setting('{name}') as {name}" for name in SETTINGS)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for resource in RESOURCES:
        monkeypatch.delenv(resource.variable, raising=False)


def settings_of(path: Path | None = None) -> tuple[Any, ...]:
    with opened(path) as connection:
        [row] = connection.execute(QUERY).fetchall()
    return tuple(row)


def test_flags_come_before_variables_and_these_before_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert resolve() == Resources("2GB", 2, None, "20GB")
    monkeypatch.setenv("VALUE_PROPS_MEMORY_LIMIT", "3GB")
    monkeypatch.setenv("VALUE_PROPS_THREADS", "4")
    monkeypatch.setenv("VALUE_PROPS_MAX_TEMP_SIZE", "")
    monkeypatch.setenv("VALUE_PROPS_TEMP_DIR", "here")
    found = resolve({"threads": "1", "memory_limit": ""})
    assert found == Resources("3GB", 1, Path("here").absolute(), "20GB")


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("2GB", "2GB"),
        ("2 gb", "2GB"),
        ("2000MB", "2GB"),
        ("2.0GB", "2GB"),
        ("1.5GB", "1500MB"),
        ("1024MiB", "1GiB"),
        ("02gib", "2GiB"),
        # The least that is allowed.
        ("50MB", "50MB"),
    ],
)
def test_equal_sizes_have_one_spelling_that_duckdb_takes(text: str, spelled: str) -> None:
    # dbt parses the project anew where the text changes.
    found = resolve({"memory_limit": text})
    assert found.memory_limit == spelled
    with opened(None) as connection:
        connection.execute(f"set memory_limit = '{text}'")
        wanted = connection.execute("select current_setting('memory_limit')").fetchall()
        connection.execute(f"set memory_limit = '{spelled}'")
        assert connection.execute("select current_setting('memory_limit')").fetchall() == wanted


@pytest.mark.parametrize(
    ("flag", "value", "allowed"),
    [
        ("--memory-limit", "much", "MiB"),
        ("--memory-limit", "80%", "MiB"),
        ("--memory-limit", "2", "MiB"),
        ("--memory-limit", "49999KB", "50MB at least"),
        ("--max-temp-size", "-1", "MiB"),
        ("--threads", "0", "from 1 to 256"),
        ("--threads", "1.5", "from 1 to 256"),
        ("--threads", "257", "from 1 to 256"),
    ],
)
@pytest.mark.parametrize(
    "command", [("build",), ("check",), ("backfill", "--from", "2020-11-02", "--to", "2020-11-08")]
)
def test_a_bad_value_is_refused_before_anything_is_read(
    tmp_path: Path, command: tuple[str, ...], flag: str, value: str, allowed: str
) -> None:
    out = () if command == ("check",) else ("--out", str(tmp_path / "out"))
    arguments = [*command, "--raw", str(tmp_path / "none"), *out, flag, value]
    with pytest.raises(ValuePropsError) as refused:
        cli.main(arguments, standalone_mode=False)
    assert refused.value.exit_code == ExitCode.CANNOT_RUN
    for words in (f"'{value}' is not allowed", flag, allowed):
        assert words in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUE_PROPS_THREADS", "two")
    with pytest.raises(ValuePropsError, match="or VALUE_PROPS_THREADS"):
        resolve({"memory_limit": "1GB"})


def test_a_temp_dir_that_is_a_file_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    arguments = ["--raw", str(tmp_path / "none"), "--temp-dir", str(path)]
    for command in (["check"], ["build", "--out", str(tmp_path / "out")]):
        with pytest.raises(ValuePropsError, match="--temp-dir or VALUE_PROPS_TEMP_DIR") as refused:
            cli.main([*command, *arguments], standalone_mode=False)
        assert refused.value.exit_code == ExitCode.CANNOT_RUN


def test_dbt_and_other_connections_get_what_is_in_force(tmp_path: Path) -> None:
    asked = Resources("1GiB", 3, tmp_path / "temp", "7GiB")
    before = dict(os.environ)
    seen: list[Any] = []
    with asked.in_force(tmp_path / "work"):
        own = Path(os.environ["VALUE_PROPS_TEMP_DIR"])
        assert own.parent == tmp_path / "temp"
        expected = (3, "1.0 GiB", "7.0 GiB", str(own))
        assert settings_of() == settings_of(tmp_path / "a.duckdb") == expected
        dbt = Dbt(ROOT, tmp_path / "b.duckdb", tmp_path / "target", {})
        dbt.parse()
        shown = dbt._invoke(["show", "--inline", QUERY], seen.append)
        [row] = shown.results[0].agate_table.rows
        assert tuple(row.values()) == expected
    [concurrency] = [event for event in seen if event.info.name == "ConcurrencyLine"]
    assert concurrency.data.num_threads == 3
    assert dict(os.environ) == before


def test_temporary_files_lie_in_the_folder_and_are_gone_after_the_run(tmp_path: Path) -> None:
    asked = Resources("60MB", 1, tmp_path / "temp", "1GB")
    work = tmp_path / "out" / ".work"
    with asked.in_force(work):
        own = Path(os.environ["VALUE_PROPS_TEMP_DIR"])
        # DuckDB removes its own files where a connection is closed.
        (own / "of_a_lost_connection").mkdir(parents=True)
    assert not own.exists()
    (own / "left_by_a_kill").mkdir(parents=True)
    with asked.in_force(work):
        # The same run folder gives the same name; another one does not share it.
        assert Path(os.environ["VALUE_PROPS_TEMP_DIR"]) == own
        assert not own.exists()
        with asked.in_force(tmp_path / "other"):
            assert Path(os.environ["VALUE_PROPS_TEMP_DIR"]) != own
        with opened(None) as connection:
            connection.execute(
                "create table spilled as select md5(cast(i as varchar)) as text"
                " from range(3000000) as numbers (i)"
            )
            assert any(own.iterdir())
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_run_goes_on_once_it_has_written_temporary_files(tmp_path: Path) -> None:
    """DuckDB then refuses to be told where they go, even the same place."""
    spilled: list[int] = []

    def spill(event: Any) -> None:
        if event.info.name != "NodeFinished" or spilled:
            return
        connection = DuckDBConnectionManager.env().conn.cursor()
        connection.execute(
            "create temp table spilled as select md5(cast(i as varchar)) as text"
            " from range(3000000) as numbers (i)"
        )
        found = connection.execute("select count(*) from duckdb_temporary_files()").fetchall()
        spilled.extend(row[0] for row in found)

    with Resources("60MB", 1, None, "1GB").in_force(tmp_path):
        dbt = Dbt(ROOT, tmp_path / "a.duckdb", tmp_path / "target", {})
        dbt.parse()
        chosen = ("--select", "run_parameters", "value_props.value_props")
        outcomes = dbt.build((*chosen, *MODELS_ONLY), spill)
    assert spilled != [0]
    assert [outcome.status for outcome in outcomes] == ["success", "success"]


def test_flags_of_a_build_reach_its_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(build, "DATA_ONLY", MODELS_ONLY)
    monkeypatch.setattr(Dbt, "refuse_left_out", lambda *_: None)
    found = []
    export = build._export

    def seen(run: Run, out: OutPath, files: Path) -> None:
        found.append(settings_of(run.database))
        export(run, out, files)

    monkeypatch.setattr(build, "_export", seen)
    temp_dir = tmp_path / "temp"
    arguments = ["--raw", CLEAN, "--out", tmp_path / "out", "--run-date", RUN_DATE]
    asked = ["--memory-limit", "1GiB", "--threads", "1", "--max-temp-size", "3GiB"]
    cli.main(
        ["build", *map(str, arguments), *asked, "--temp-dir", str(temp_dir)],
        standalone_mode=False,
    )
    [(threads, memory, temp_size, folder)] = found
    assert (threads, memory, temp_size) == (1, "1.0 GiB", "3.0 GiB")
    assert Path(folder).parent == temp_dir
    assert list(temp_dir.iterdir()) == []
    assert (tmp_path / "out" / "final.csv").is_file()
