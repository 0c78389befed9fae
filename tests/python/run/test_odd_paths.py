"""The main path, below folders whose names mean something to a reader, to SQL, or to a shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from support.harness import (
    CLEAN,
    COMMAND,
    ROOT,
    RUN_DATE,
    build,
    files_of_project,
    manifest_of,
)

from value_props.database import parquet_rows

# A reader that looks for Hive partitions would find three columns in it.
ODD = Path("user_id=7", "o'brien #1 100% [a]*", "value_prop=x")
DBT = [sys.executable, "-c", "from dbt.cli.main import cli; cli()"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in an odd folder, with packages and raw files."""
    folder = tmp_path_factory.mktemp("odd") / ODD / "project"
    for path in files_of_project():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target, follow_symlinks=False)
    shutil.copytree(ROOT / "dbt_packages", folder / "dbt_packages")
    shutil.copytree(CLEAN, folder / "data" / "raw")
    return folder


def run(project: Path, program: list[str], *arguments: str | Path) -> str:
    """Run a program with the package of the copy, and return what it printed."""
    answer = subprocess.run(
        [*program, *map(str, arguments)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_every_command_works_below_an_odd_folder(project: Path, published: Path) -> None:
    out = project.parent / "day=1" / "out"
    # The second run reads what the first one kept, and its record.
    for _ in range(2):
        run(project, COMMAND, "build", "--out", out, "--run-date", RUN_DATE)
        for name in ("final.csv", "final.parquet"):
            assert (out / name).read_bytes() == (published / name).read_bytes()
    runs = json.loads(run(project, COMMAND, "history", "--out", out, "--json"))
    assert [record["status"] for record in runs] == ["published", "published"]
    newer, older = (record["run_id"] for record in runs)
    assert "none" in run(project, COMMAND, "diff", older, newer, "--out", out)
    run(project, COMMAND, "rollback", "--out", out)
    assert older in run(project, COMMAND, "verify", "--out", out)
    assert json.loads(run(project, COMMAND, "report", "--out", out))["run"]["run_id"] == newer
    backfill = project.parent / "prior_views=5"
    span = ("--from", "2020-11-23", "--to", "2020-11-29", "--run-date", RUN_DATE)
    run(project, COMMAND, "backfill", *span, "--out", backfill)
    [week] = backfill.glob("prints/week=*/prints.parquet")
    assert week.read_bytes() == (published / "final.parquet").read_bytes()
    run(project, COMMAND, "load", "--to", project.parent / "store", "--out", out)


def test_plain_dbt_gives_the_reference_below_an_odd_folder(
    project: Path, published: Path, tmp_path: Path
) -> None:
    variables = json.dumps({"run_date": RUN_DATE})
    run(project, DBT, "build", "--vars", variables)
    run(project, DBT, "test", "--vars", variables)
    here = tmp_path / "dev.duckdb"
    shutil.copyfile(project / "data" / "dev.duckdb", here)
    with duckdb.connect(str(here), read_only=True) as connection:
        query = (
            f"from marts.fct_prints except all from {parquet_rows([published / 'final.parquet'])}"
        )
        assert connection.execute(query).fetchall() == []
        [(rows,)] = connection.execute("select count(*) from marts.fct_prints").fetchall()
    assert rows > 0


@pytest.mark.parametrize("sign", ["?", "\\"])
def test_an_out_path_that_duckdb_cannot_open_is_refused_in_a_sentence(
    tmp_path: Path, sign: str
) -> None:
    answer = build(tmp_path / f"what{sign}", exit_code=2)
    assert f"DuckDB cannot open a database below a folder with a {sign} in its name" in answer.text
    assert list(tmp_path.iterdir()) == []


def test_raw_files_may_have_any_name(tmp_path: Path) -> None:
    raw, out = tmp_path / "user_id=7" / "what? [x]*", tmp_path / "out"
    raw.mkdir(parents=True)
    # What the path matches if it is taken for a pattern.
    decoy = raw.parent / "what! xy"
    decoy.mkdir()
    for source, name in (
        ("prints.json", "prints'; drop table x; --.json"),
        ("taps.json", "taps\n %41?*[a]~.json"),
        ("pays.csv", "pays_ñ\x1b[1m" + "x" * 230 + ".csv"),
    ):
        shutil.copyfile(CLEAN / source, raw / name)
        (decoy / name).write_text("{\n", encoding="utf-8")
    for _ in range(2):
        build(out, raw=raw)
    assert sum(row["rows_quarantined"] for row in manifest_of(out)["inputs"]) == 0
