"""Make three runs to one out path: a clean run, an accepted run with bad rows, a refused run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.harness import RUN_DATE, folder_request

from value_props.publish.out_path import OutPath
from value_props.run.request import Request

# A script as the name of a value prop. Pages must not execute it.
SCRIPT = "<script>alert(1)</script>"


@dataclass(frozen=True)
class Runs:
    """Three runs to one out path, and their reports.

    Args:
        out: the out path.
        raw: raw folder of the second and third run. It has bad rows, and a script as value prop.
        reports: reports of the clean, the accepted and the refused run.
        accepted_page: page of the accepted run.
    """

    out: OutPath
    raw: Path
    reports: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
    accepted_page: Path

    @property
    def failed_page(self) -> Path:
        return self.out.last_run / "report.html"


def request_of(raw: Path, out: OutPath, **parameters: str) -> Request:
    return folder_request(raw, out.root, run_date=RUN_DATE, **parameters)


def report_of(out: OutPath, run_id: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(
        (out.history / run_id / "report.json").read_text(encoding="utf-8")
    )
    return facts
