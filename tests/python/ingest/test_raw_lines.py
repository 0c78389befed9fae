"""Files of several buffers, and lines that no file of the engine can carry."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from support.harness import RUN_DATE, Pipeline, clean_files
from support.raw_files import write_files
from support.reference import Parameters, compute

from value_props.errors import ValuePropsError
from value_props.ingest import ingest
from value_props.ingest.keep import ParsedFiles

RUN_VARS = {"run_date": RUN_DATE}


@pytest.mark.parametrize("ends", [(b"\n",), (b"\r\n",), (b"\n", b"\r\n", b"\r")])
def test_files_of_several_buffers_lose_no_line(pipeline: Pipeline, ends: tuple[bytes, ...]) -> None:
    """A reader that works in parallel could lose or shift lines at the edges of buffers."""
    count = 700_000
    lines = [
        b'{"day":"2020-11-%02d","event_data":{"position":%d,"value_prop":"point"},"user_id":%d}%b'
        % (1 + number % 30, number % 4, 1 + number, ends[number % len(ends)])
        for number in range(count)
    ]
    # A bad line far from the start shows that lines are numbered right.
    lines[count - 3] = b"broken" + ends[0]
    pipeline.write(clean_files() | {"prints.json": b"".join(lines)})
    pipeline.run(RUN_VARS)
    assert pipeline.query(
        "select rows_read, rows_kept from quality.row_reconciliation where source_name = 'prints'"
    ) == [(count, count - 1)]
    assert pipeline.query("select line_number, raw_text from quality.quarantined_rows") == [
        (count - 2, "broken")
    ]
    [(total,)] = pipeline.query("select sum(user_id) from staging.stg_prints")
    assert total == count * (count + 1) // 2 - (count - 2)


def test_payments_of_several_buffers_keep_their_order(pipeline: Pipeline) -> None:
    """Out of order, the header could stand anywhere, and a payment be taken for it."""
    count = 3_000_000
    per_file = count // 2
    layouts = ("pay_date,total,user_id,value_prop", "user_id,value_prop,note,pay_date,total")
    files = clean_files()
    del files["pays.csv"]
    for place, header in enumerate(layouts):
        rows = [header] + [
            f"2020-11-{1 + number % 30:02},1.00,{number},point"
            if place == 0
            else f"{number},point,,2020-11-{1 + number % 30:02},1.00"
            for number in range(1 + place * per_file, 1 + (place + 1) * per_file)
        ]
        rows[-3] = "broken"
        files[f"pays_{place}.csv"] = ("\n".join(rows) + "\n").encode()
    pipeline.write(files)
    pipeline.run(RUN_VARS)
    assert pipeline.query(
        "select file_name, line_number, raw_text from quality.quarantined_rows order by all"
    ) == [("pays_0.csv", per_file - 1, "broken"), ("pays_1.csv", per_file - 1, "broken")]
    [(kept, total)] = pipeline.query("select count(*), sum(user_id) from staging.stg_pays")
    assert kept == count - 2
    assert total == count * (count + 1) // 2 - (per_file - 2) - (count - 2)


def test_redelivered_long_lines_are_quarantined_like_short_ones(pipeline: Pipeline) -> None:
    """Valid lines of more than 1 MiB reach the engine beside the file."""
    event = {
        "day": "2020-11-24",
        "event_data": {"position": 0, "value_prop": "point"},
        "user_id": 7_000_001,
    }
    short = json.dumps(event).encode()
    long = short[:-1] + b" " * (1 << 20) + b"}"
    longer = short[:-1] + b" " * (2 << 20) + b"}"
    other = short.replace(b"7000001", b"7000002")
    files = clean_files()
    files["prints.json"] += b"\n".join(
        (long, short, longer, other, other[:-1] + b" " * (1 << 20) + b"}", b"")
    )
    pipeline.write(files)
    pipeline.run(RUN_VARS)
    found = pipeline.query(
        "select source_name, file_name, line_number, raw_text, quarantine_reason"
        " from quality.quarantined_rows order by line_number"
    )
    run_date = datetime.date.fromisoformat(RUN_DATE)
    expected = compute(pipeline.raw_path, Parameters(run_date=run_date))
    # Without the texts first: a difference of theirs would be megabytes long.
    assert [row[:3] + row[4:] for row in found] == [
        row[:3] + row[4:] for row in expected.quarantine
    ]
    assert found == expected.quarantine
    assert pipeline.mart() == expected.mart


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2020-11-01,7.04,98702,point", "lacks the column pay_date: the line names no"),
        ('2020-11-01,7.04,98702,po"int', "a quote where none may stand: the line names no"),
        ("Pay_date,total,user_id,value_prop", "pay_date: it reads Pay_date,total,user_id"),
        ("total,total,user_id,value_prop,pay_date", "repeats the column total: it reads total,"),
    ],
)
def test_a_payment_where_a_header_belongs_is_not_told(tmp_path: Path, line: str, told: str) -> None:
    write_files(tmp_path, clean_files() | {"pays.csv": f"{line}\n".encode()})
    with pytest.raises(ValuePropsError, match=told) as caught:
        ingest(tmp_path, ParsedFiles(tmp_path / "parsed"))
    assert "98702" not in str(caught.value)
