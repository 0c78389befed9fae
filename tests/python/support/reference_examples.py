"""Make small raw folders for the tests of the reference, and run the reference on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

from support.raw_files import write_files
from support.reference import Outcome, Parameters, compute

HEADER = "pay_date,total,user_id,value_prop\n"
# Most examples do not test the gates, so these parameters forgive gaps and bad rows.
FORGIVING = Parameters(
    run_date=date(2020, 12, 31), allow_incomplete=True, max_quarantine_rate=Decimal(1)
)


def event(day: str, user_id: int = 5, value_prop: str = "point", position: int = 0) -> str:
    """Return one line of prints or taps."""
    data = {"position": position, "value_prop": value_prop}
    return json.dumps({"day": day, "event_data": data, "user_id": user_id}) + "\n"


def run(
    folder: Path, files: Mapping[str, str | bytes], parameters: Parameters = FORGIVING
) -> Outcome:
    """Compute a folder with the reference. A source without a file gets a file without rows."""
    contents = {
        name: text.encode() if isinstance(text, str) else text for name, text in files.items()
    }
    for source, name in (("prints", "prints.json"), ("taps", "taps.json"), ("pays", "pays.csv")):
        if not any(given_name.startswith(source) for given_name in contents):
            contents[name] = b""
    write_files(folder, contents)
    return compute(folder, parameters)


def features(outcome: Outcome) -> dict[str, tuple[int, int, int, str]]:
    """Return (views, clicks, payments, amount) by print day. The mart needs one row per day."""
    assert len({row[3] for row in outcome.mart}) == len(outcome.mart)
    return {str(row[3]): (row[8], row[9], row[10], str(row[11])) for row in outcome.mart}


# A complete report week.
WEEK = "".join(event(f"2020-11-{day}") for day in range(23, 30))
LAST_PAYMENT = HEADER + "2020-11-29,1,5,point\n"
COMPLETE = {"prints.json": WEEK, "taps.json": event("2020-11-29"), "pays.csv": LAST_PAYMENT}
STRICT = Parameters(run_date=date(2020, 12, 31))
