"""Run plain dbt in a copy of the project, as its users do.

One process runs all commands, because a new one spends most of its time on what dbt sets up once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A hub that cannot be reached, because nothing listens on port 1.
HUB = "http://127.0.0.1:1/"


@dataclass
class PlainDbt:
    """dbt in a copy of the project, with an empty home folder.

    Args:
        project: the copy.
        home: the home folder of the user.
        server: the process that runs the commands.
    """

    project: Path
    home: Path
    server: subprocess.Popen[str]

    def __call__(self, *arguments: str, exit_code: int = 0, cwd: Path | None = None) -> str:
        """Run a command, assert its exit code, and return what it printed.

        Args:
            arguments: arguments of `dbt`.
            exit_code: expected exit code.
            cwd: where the command runs; by default the root of the project.
        """
        output = self.home.parent / "output.txt"
        request = {
            "arguments": [*arguments],
            "cwd": str(cwd or self.project),
            "output": str(output),
        }
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        ended = int(self.server.stdout.readline())
        text = output.read_text(encoding="utf-8", errors="replace")
        assert ended == exit_code, text
        return text

    @property
    def database(self) -> Path:
        """The file that plain dbt fills."""
        return self.project / "data" / "dev.duckdb"

    def results(self) -> dict[str, str]:
        """Return the status of each node of the last command, by name, without hooks."""
        found = {}
        for result in self.artifact("run_results")["results"]:
            kind, _, *names = result["unique_id"].split(".")
            # A unit test is named after its model first, and a data test ends with a hash.
            if kind != "operation":
                found[names[1 if kind == "unit_test" else 0]] = result["status"]
        return found

    def artifact(self, name: str) -> dict[str, Any]:
        """Return what the last command wrote to a file of the target folder."""
        text = (self.project / "target" / f"{name}.json").read_text(encoding="utf-8")
        content: dict[str, Any] = json.loads(text)
        return content

    @contextmanager
    def changed(self, *names: str) -> Iterator[None]:
        """Context manager that takes back what happens inside to files of the project."""
        saved = self.home.parent / "saved"
        for name in names:
            (saved / name).parent.mkdir(parents=True, exist_ok=True)
            if (self.project / name).exists():
                shutil.copy2(self.project / name, saved / name)
        try:
            yield
        finally:
            for name in names:
                if (saved / name).exists():
                    shutil.copy2(saved / name, self.project / name)
                else:
                    (self.project / name).unlink(missing_ok=True)
            shutil.rmtree(saved)


@contextmanager
def plain_dbt(project: Path, home: Path) -> Iterator[PlainDbt]:
    """Start the server for a copy of the project, and stop it at the end."""
    home.mkdir()
    settings = ("DBT_", "VALUE_PROPS_")
    variables = {name: text for name, text in os.environ.items() if not name.startswith(settings)}
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**variables, "HOME": str(home), "DBT_PACKAGE_HUB_URL": HUB},
    ) as server:
        yield PlainDbt(project, home, server)
        assert server.stdin
        server.stdin.close()


def serve() -> None:
    """Run a command for each line of standard input, and answer with its exit code."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import cli

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    for line in sys.stdin:
        request = json.loads(line)
        os.chdir(request["cwd"])
        with Path(request["output"]).open("wb") as output:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(output.fileno(), stream.fileno())
        try:
            cli(["--no-use-colors", *request["arguments"]], prog_name="dbt")
        except SystemExit as ended:
            answers.write(f"{ended.code}\n")
        # As at the end of a process: another may open the database now.
        DuckDBConnectionManager.close_all_connections()
        sys.stdout.flush()
        sys.stderr.flush()
        answers.flush()


if __name__ == "__main__":
    serve()
