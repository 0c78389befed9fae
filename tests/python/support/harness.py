"""Run the command, or only the models, in this process."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.raw_files import write_files
from support.reference import FEATURE_COLUMNS, MART_COLUMNS, Parameters

from value_props import database
from value_props.cli import program as cli
from value_props.ingest import Inventory, ingest, reading, together
from value_props.ingest.keep import ParsedFiles
from value_props.ingest.stage import stage
from value_props.publish.out_path import REPORT
from value_props.publish.places import Place
from value_props.record.facts import Begun, NodeOutcome
from value_props.run.dbt import MODELS_ONLY, Dbt
from value_props.run.published_features import PublishedFeatures, stage_features
from value_props.run.request import Request

ROOT = Path(__file__).resolve().parents[3]
CLEAN, DIRTY = (ROOT / "tests" / "fixtures" / name for name in ("clean", "dirty"))
# A run date after the last week of the fixtures.
RUN_DATE = "2020-12-01"
# Command line that starts value-props in a separate process.
COMMAND = [sys.executable, "-c", "from value_props.cli.program import main; main()"]


def free_port() -> int:
    """Return a port of this machine on which no process listens now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def files_of_project(*patterns: str) -> list[Path]:
    """Return the files that git tracks, and new files that it does not ignore."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def clean_files() -> dict[str, bytes]:
    """Return the raw files of the clean fixture, by name."""
    return {path.name: path.read_bytes() for path in CLEAN.iterdir()}


def folder_request(raw: Path, out: Path, **parameters: str) -> Request:
    """Return the request of a user for a run that reads `raw` and publishes to `out`."""
    return Request(ROOT, Place(str(raw), raw), Place(str(out), out), parameters)


@dataclass(frozen=True)
class Answer:
    """The result of the command."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """The whole output as one line."""
        return " ".join((self.stdout + self.stderr).split())


def begun(run_id: str) -> Begun:
    """Return the start of an invented run."""
    parameters = {"week_rule": "complete", "run_date": "2020-12-01"}
    return Begun(run_id, "2020-12-01T00:00:00Z", "it's raw", parameters, None, {"duckdb": "2.0.0"})


def value_props(*arguments: str | Path, exit_code: int | None = None) -> Answer:
    """Run the command in this process, which starts faster than a separate one.

    Args:
        arguments: arguments of `value-props`.
        exit_code: expected exit code; None allows any.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patched,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patched.chdir(ROOT)
        patched.setattr(sys, "argv", ["value-props", *map(str, arguments)])
        # start_in_utf_8 would replace this process.
        patched.setattr(cli, "start_in_utf_8", lambda: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    answer = Answer(int(ended.value.code or 0), stdout.getvalue(), stderr.getvalue())
    assert exit_code in (None, answer.returncode), answer.text
    return answer


def build(
    out: str | Path, *arguments: str | Path, raw: str | Path = CLEAN, exit_code: int = 0
) -> Answer:
    """Build into an out path, and assert the exit code."""
    given = ("--raw", raw, "--out", out, "--run-date", RUN_DATE)
    return value_props("build", *given, *arguments, exit_code=exit_code)


def history_of(out: str | Path) -> list[dict[str, Any]]:
    """Return the runs in an out path from `value-props history`, newest first."""
    answer = value_props("history", "--out", out, "--json", exit_code=0)
    runs: list[dict[str, Any]] = json.loads(answer.stdout)
    return runs


def manifest_of(out: Path) -> dict[str, Any]:
    """Return the manifest of the published run."""
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return found


def published_rows(out: Path, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on the published database."""
    with duckdb.connect(str(out / "value_props.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


@dataclass
class Pipeline:
    """The project, parsed once, with a raw folder whose files a test replaces.

    Args:
        folder: folder for the raw files, the database and the files that dbt writes.
    """

    folder: Path

    def __post_init__(self) -> None:
        self.raw_path = self.folder / "raw"
        self.raw_path.mkdir()
        self.parsed = ParsedFiles(self.folder / "parsed")
        self.database = self.folder / "value_props.duckdb"
        # With the models of the features, which a run without serving_features leaves out.
        self.dbt = Dbt(ROOT, self.database, self.folder / "target", {"serving_features": "true"})
        self.dbt.parse()

    def write(self, files: Mapping[str, bytes]) -> None:
        """Replace the raw files."""
        shutil.rmtree(self.raw_path)
        write_files(self.raw_path, files)

    def run(
        self,
        dbt_vars: dict[str, str],
        options: tuple[str, ...] = MODELS_ONLY,
        published: Sequence[PublishedFeatures] = (),
    ) -> list[NodeOutcome]:
        """Ingest the raw files and build into a fresh database.

        Args:
            dbt_vars: the parameters of the run.
            options: options of `dbt build`.
            published: features that earlier runs published.

        Raises:
            ValuePropsError: a raw file stops the run.
        """
        for path in self.folder.glob("value_props.duckdb*"):
            path.unlink()
        self.dbt.dbt_vars = dbt_vars
        inventory = ingest(self.raw_path, self.parsed)
        with database.opened(self.database) as connection:
            stage(connection, inventory)
            stage_features(connection, published)
        return self.dbt.build(options)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the database of the last build."""
        with database.opened(self.database) as connection:
            return connection.execute(sql).fetchall()

    def mart(self) -> list[tuple[Any, ...]]:
        """Return the rows of fct_prints in the order of final.csv."""
        return self._table(database.MART, MART_COLUMNS)

    def features(self) -> list[tuple[Any, ...]]:
        """Return the rows of fct_user_features in the order of features.parquet."""
        return self._table(database.USER_FEATURES, FEATURE_COLUMNS)

    def _table(self, name: str, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
        with database.opened(self.database) as connection:
            result = connection.execute(f"from {name}")
            assert tuple(column[0] for column in result.description or []) == columns
            return result.fetchall()


def vars_of(parameters: Parameters) -> dict[str, str]:
    """Return the parameters of the reference as dbt vars."""

    def text_of(value: date | Decimal | bool | int | str | None) -> str:
        if value is None:
            return ""
        return str(value).lower() if isinstance(value, bool) else f"{value}"

    return {name: text_of(value) for name, value in vars(parameters).items()}


def ingest_in_every_way(raw_path: Path) -> Inventory:
    """Read the raw files by the length proof, as one batch of small files, and line by line.

    Assert that all ways give the same rows.

    Returns:
        The inventory of the first way.

    Raises:
        ValuePropsError: a raw file stops the run.
    """
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(together, "FEWEST", 10**6)
        by_proof = ingest(raw_path, ParsedFiles(Path(folder) / "proof"))
        expected = _parts_of(by_proof)
        patched.setattr(together, "FEWEST", 2)
        as_one = ingest(raw_path, ParsedFiles(Path(folder) / "together"))
        assert _parts_of(as_one) == expected
        assert [file.content.is_plain for file in as_one.files] == [
            file.content.is_plain for file in by_proof.files
        ]
        patched.setattr(together, "FEWEST", 10**6)
        patched.setattr(reading, "read_plain", lambda *_: None)
        by_lines = ingest(raw_path, ParsedFiles(Path(folder) / "lines"))
        assert not any(file.content.is_plain for file in by_lines.files)
        assert _parts_of(by_lines) == expected
    for file in by_proof.files:
        assert not file.content.is_plain or file.content.parts == ["counts", "rows"]
    return by_proof


def _parts_of(inventory: Inventory) -> dict[str, Any]:
    shown = ("prints", "taps", "pays", "rejected_lines", "unusual_lines", "row_counts")
    with database.opened(None) as connection:
        stage(connection, inventory)
        found: dict[str, Any] = {
            name: connection.execute(f"select * from raw.{name} order by all").fetchall()
            for name in shown
        }
    for file in inventory.files:
        content = file.content
        found[file.found.path.name] = (
            *(content.line_count, content.row_count, content.header_line_number),
            *(content.columns, content.unknown_fields, content.distinct_users),
        )
    return found


def sha256(path: Path) -> str:
    """Return the sha256 of a file, computed without the code under test."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(out: Path) -> dict[str, str]:
    """Return the sha256 of each file that the stable names show."""
    return {name: sha256(out / name) for name in REPORT.stable_names}
