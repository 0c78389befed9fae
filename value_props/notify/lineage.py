"""Send the events of an ended dbt run to OpenLineage, if a receiver is configured.

A separate process, lineage_events.py, makes and sends the events. So it can be killed at the
deadline, and changes that the library makes to its environment do not affect the run.
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

# A run may wait at most 10 seconds for a receiver. 2 of them are kept for all other work.
DEADLINE_SECONDS = 8.0


@dataclass(frozen=True)
class DbtRun:
    """The facts of an ended dbt run from which its events are made.

    Args:
        project: folder of dbt_project.yml.
        target_path: folder of dbt's manifest.json and run_results.json.
        database: path of the DuckDB file that the run filled; the file need not exist.
        published: path or address at which readers find that file; it names the datasets.
        run_id: id of the run in this project. The events carry it as a tag.
        started_at: start of the run, UTC, ISO 8601.
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
    """Return whether the variables and files that the library reads name a receiver."""
    if environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OPENLINEAGE_URL") or environ.get("OPENLINEAGE_CONFIG"):
        return True
    if any(name.startswith("OPENLINEAGE__TRANSPORT__") for name in environ):
        return True
    return any(_has_file(folder) for folder in (str(project), "~/.openlineage"))


def emit(run: DbtRun, environ: Mapping[str, str] = os.environ) -> int:
    """Send the events of a run within 10 seconds. A failure is only logged as a warning.

    Args:
        run: the ended run, passed or failed.
        environ: environment variables, with those of OpenLineage (OPENLINEAGE_*).

    Returns:
        The number of events that were sent; 0 if no receiver is configured.
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
            # Only stdout is read, because errors may quote the receiver's URL with credentials.
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
        # The home folder is unknown or not readable.
        return False


def _warn(problem: str) -> None:
    logger.warning("step=lineage problem=%s", problem)
