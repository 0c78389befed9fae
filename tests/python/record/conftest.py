"""Fixtures of tests that read the report of a run, or see its page."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from support.harness import CLEAN, DIRTY
from support.three_runs import SCRIPT, Runs, report_of, request_of

from value_props.errors import ValuePropsError
from value_props.publish.out_path import OutPath
from value_props.run import build as job


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("report")
    out, raw = OutPath(folder / "out"), folder / "raw"
    shutil.copytree(DIRTY, raw)
    with (raw / "prints.json").open("a", encoding="utf-8") as prints:
        for user in range(1, 31):
            event = {"position": 0, "value_prop": SCRIPT}
            row = {"day": "2020-11-24", "event_data": event, "user_id": user}
            prints.write(json.dumps(row) + "\n")
            prints.write(f'<img src="https://example.invalid/{user}" onerror="alert(2)">\n')
            prints.write(f'{{"day":"2020-11-24","user_id":{user}}}{" " * 400}\n')
    job.build(request_of(CLEAN, out))
    asked = request_of(raw, out, max_quarantine_rate="1")
    # Other raw files than those that are published.
    job.build(replace(asked, make_current=True))
    accepted_page = folder / "accepted.html"
    shutil.copyfile(out.root / "report.html", accepted_page)
    with pytest.raises(ValuePropsError):
        job.build(request_of(raw, out))
    clean, accepted, refused = (report_of(out, path.name) for path in sorted(out.history.iterdir()))
    return Runs(out, raw, (clean, accepted, refused), accepted_page)
