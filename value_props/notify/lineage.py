"""Tell OpenLineage of an ended dbt run, if somebody asked for it.

The events are made and sent by a process of its own, lineage_events.py: it can be stopped at
the deadline wherever it is, and what the library does to the environment stays in there.
"""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from value_props.errors import ValuePropsError
from value_props.logs import logger
from value_props.parameters import folder_of

# A run waits ten seconds at most for a receiver that does not answer; two are for the rest.
DEADLINE_SECONDS = 8.0


@dataclass(frozen=True)
class DbtRun:
    """What the events of an ended dbt run are made of.

    Args:
        project: folder of dbt_project.yml.
        target_path: where dbt left manifest.json and run_results.json.
        database: the DuckDB file that the run filled; need not exist.
        published: path or address that readers know it by; names the datasets.
        run_id: of the run.
        started_at: UTC, ISO 8601.
        is_passed: whether the run passed the gate.
    """

    project: str
    target_path: str
    database: str
    published: str
    run_id: str
    started_at: str
    is_passed: bool


def is_configured(project: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a receiver, by the variables and files that the library reads."""
    if environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OPENLINEAGE_URL") or environ.get("OPENLINEAGE_CONFIG"):
        return True
    if any(name.startswith("OPENLINEAGE__TRANSPORT__") for name in environ):
        return True
    return any(_has_file(folder) for folder in (str(project), "~/.openlineage"))


def emit(run: DbtRun, environ: Mapping[str, str] = os.environ) -> int:
    """Send the events of a run; a failure is a warning in the log, and nothing else.

    Args:
        run: that ended, well or not.
        environ: holds the OPENLINEAGE_ variables.

    Returns:
        How many events were sent: 0 where nothing is configured. Takes 10 seconds at most.
    """
    if not is_configured(Path(run.project), environ):
        return 0
    variables = dict(environ)
    if config := environ.get("OPENLINEAGE_CONFIG"):
        variables["OPENLINEAGE_CONFIG"] = str(
            folder_of(config, "Environment variable OPENLINEAGE_CONFIG")
        )
    try:
        answer = subprocess.run(  # nosec B603
            [sys.executable, "-m", "value_props.notify.lineage_events"],
            input=json.dumps(asdict(run)),
            # Its errors may hold the address of the receiver, with credentials.
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=run.project,
            env=variables,
            errors="replace",
            timeout=DEADLINE_SECONDS,
            check=True,
            encoding="utf-8",
        )
        told = json.loads(answer.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        _warn(f"no event was sent: no answer within {DEADLINE_SECONDS:.0f} seconds")
        return 0
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError) as error:
        _warn(f"no event was sent: {type(error).__name__} while they were made")
        return 0
    if told["problem"]:
        _warn(f"not all events were sent: {told['problem']}")
    return int(told["sent"])


def _has_file(folder: str) -> bool:
    try:
        return (folder_of(folder, "OpenLineage") / "openlineage.yml").is_file()
    except (OSError, ValuePropsError):
        # No home folder, or that of another user.
        return False


def _warn(problem: str) -> None:
    logger.warning("step=lineage problem=%s", problem)
