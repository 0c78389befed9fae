"""Make a sample report that follows report.schema.json, to test the code that reads reports."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from support.harness import ROOT

SCHEMA = Draft202012Validator(
    json.loads((ROOT / "value_props" / "record" / "report.schema.json").read_text(encoding="utf-8"))
)
RUN_ID = "20201130T060000Z-0a0a0a"
# A text in raw rows. No message may contain it.
RAW_MARK = "raw-row-mark"
_SAMPLE = {"file_name": f"{RAW_MARK}.csv", "line_number": 3, "text": f"{RAW_MARK},abc"}


def dataset(name: str, kind: str, rows: tuple[int | None, ...], **reasons: int) -> dict[str, Any]:
    """Return the entry of a source or model.

    Args:
        name: name of the source or model.
        kind: kind of the dataset.
        rows: numbers of rows read, kept and quarantined.
        reasons: number of quarantined rows by reason.
    """
    return {
        "name": name,
        "kind": kind,
        "description": "",
        "status": "read" if kind == "source" else "success",
        "seconds": None if kind == "source" else 1.5,
        "expected_columns": [],
        "missing_columns": [],
        "new_columns": [],
        "wrong_types": [],
        "rows": dict(zip(("read", "kept", "quarantined"), rows, strict=True)),
        "quarantine": [
            {"reason": reason, "rows": count, "samples": [_SAMPLE]}
            for reason, count in reasons.items()
        ],
        "tests": [],
    }


def drift(subject: str, status: str) -> dict[str, Any]:
    """Return a drift check of a value prop."""
    numbers = dict.fromkeys(("value", "lowest", "highest", "typical"))
    return {
        "check": "value_prop_share",
        "subject": subject,
        "status": status,
        "weeks_compared": 4,
        "message": "It moved",
        **numbers,
    }


def sample_report(status: str, **facts: Any) -> dict[str, Any]:
    """Return the report of a published or failed run with quarantined rows.

    Args:
        status: published or failed.
        facts: top-level values to replace or add, by name.
    """
    is_published = status == "published"
    report = {
        "format_version": 1,
        "run": {
            "run_id": RUN_ID,
            "started_at": "2020-11-30T06:00:00Z",
            "ended_at": "2020-11-30T06:01:30Z",
            "status": status,
            "exit_code": 0 if is_published else 1,
            "is_made_current": is_published,
            "raw_path": "/data/raw",
            "is_sample_data": False,
            "parameters": {},
            "git_commit": None,
            "versions": {},
        },
        "window": {
            "as_of_date": "2020-11-30",
            "first_week_start_date": "2020-11-23",
            "last_week_start_date": "2020-11-23",
            "report_end_date": "2020-11-29",
            "first_lookback_date": "2020-11-02",
        },
        "problems": [],
        "warnings": [],
        "ignored_files": [],
        "seconds": {"parse": 6.5, "dbt": 70.25},
        "rows_in_mart": 1234567,
        "tests": {"pass": 38, "warn": 1},
        "datasets": [
            dataset("pays", "source", (100, 88, 12), malformed=10, duplicate=2),
            dataset("taps", "source", (None, None, None)),
            dataset("fct_prints", "model", (1234567, None, None)),
        ],
        "drift": [drift("secret prop", "warn"), drift("point", "pass"), drift("send", "pass")],
        **facts,
    }
    SCHEMA.validate(report)
    return report
