"""Each query of the room that reads raw files, by itself, over a few rows."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from harness import ROOT

from value_props.ingest.read import reader, sql

DAY = datetime.date(2020, 11, 1)
EVENT = '{"day":"2020-11-01","event_data":{"position":1,"value_prop":"point"},"user_id":7}'
Connection = duckdb.DuckDBPyConnection


@pytest.fixture
def connection() -> Iterator[Connection]:
    with reader() as opened:
        yield opened


def reading(path: Path, text: str) -> dict[str, Any]:
    path.write_text(text, encoding="utf-8")
    return {"read_path": str(path), "compression": "none"}


def by_lines(path: Path, text: str, **values: str) -> dict[str, Any]:
    return {**reading(path, text), "hard_lines": "[]", **values}


def judged(connection: Connection, *rows: tuple[Any, ...]) -> None:
    """Lines as lines_of_events.sql gives them.

    Args:
        connection: where the table goes.
        rows: line_number, user_id, quarantine_reason, is_row, raw_text, unknown_keys.
    """
    connection.execute(
        "create temp table judged (line_number bigint, event_date date, user_id bigint,"
        " value_prop varchar, position integer, quarantine_reason varchar, is_row boolean,"
        " raw_text varchar, unknown_keys varchar[], missing_fields varchar[])"
    )
    for line_number, user_id, reason, is_row, raw_text, keys in rows:
        connection.execute(
            "insert into judged values (?, ?, ?, 'point', 1, ?, ?, ?, ?, null)",
            [line_number, DAY, user_id, reason, is_row, raw_text, keys],
        )
    connection.execute("set variable header_line_number = null")
    connection.execute(sql("numbered"))


def test_every_query_has_a_test() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    queries = {path.stem for path in (ROOT / "value_props/ingest/sql").glob("*.sql")}
    assert {name for name in queries if f'sql("{name}")' in here} == queries - {"rules"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("is_blank(' \t')", True),
        ("is_blank(null)", True),
        ("is_blank('a')", False),
        ("is_iso_day('2020-11-01', date '2020-11-01')", True),
        ("is_iso_day('2020-11-1', date '2020-11-01')", False),
        ("is_iso_day(null, null)", False),
        ("reads_back('7', 7)", True),
        ("reads_back('07', 7)", False),
        ("is_plain_text('point')", True),
        ("is_plain_text('true')", False),
        ("is_plain_text('7')", False),
        ("is_plain_text('Infinity')", False),
        ("is_lax_json('{\"a\":NaN}')", True),
        ('is_lax_json(\'{"a":"NaN, ]"}\')', False),
        ("is_lax_json('{\"a\":1,}')", True),
        ("is_lax_json('[1]')", True),
        ("has_repeated_key('{\"a\":1,\"a\":2}', '$', ['a'])", True),
        ("has_repeated_key('{\"b\":1,\"b\":2}', '$', ['a'])", False),
        ("is_whole_number('-7', '{\"a\":-7}', '$.a')", True),
        ("is_whole_number('-7', '{\"a\":\"-7\"}', '$.a')", False),
        ("is_whole_number('7.0', '{\"a\":7.0}', '$.a')", False),
        ('unknown_event_keys(\'{"x":1,"event_data":{"y":2}}\')', ["x", "event_data.y"]),
        ('csv_fields(\'a,"b,""c",\')', ["a", 'b,"c', ""]),
        ("csv_fields('a,b\"c')", None),
        ("event_bytes(7, 'point', 1)", len(EVENT) + 1),
        ("payment_bytes(7, 'point', 1.50::decimal(18, 2))", len("2020-11-01,1.50,7,point\n")),
        ("line_of_event(date '2020-11-01', 7, 'point', 1)", EVENT),
    ],
)
def test_rules(connection: Connection, expression: str, expected: object) -> None:
    assert connection.execute(f"select {expression}").fetchall() == [(expected,)]


def test_plain_events(connection: Connection, tmp_path: Path) -> None:
    values = reading(tmp_path / "a.json", f"{EVENT}\n")
    assert connection.execute(sql("plain_events"), values).fetchall() == [
        (DAY, 7, "point", 1, None, 0)
    ]
    values = reading(tmp_path / "a.json", f"{EVENT}\n{EVENT.replace(':7', ':7e0')}\n")
    with pytest.raises(duckdb.Error, match="not plain"):
        connection.execute(sql("plain_events"), values).fetchall()


def test_plain_payments(connection: Connection, tmp_path: Path) -> None:
    header = "pay_date,total,user_id,value_prop\n"
    values = reading(tmp_path / "a.csv", f"{header}2020-11-01,1.50,7,point\n")
    assert connection.execute(sql("plain_payments"), values).fetchall() == [
        (DAY, 7, "point", Decimal("1.50"), None, 0)
    ]
    values = reading(tmp_path / "a.csv", f"{header}2020-11-01,1.5,7,point\n")
    with pytest.raises(duckdb.Error, match="not plain"):
        connection.execute(sql("plain_payments"), values).fetchall()


def test_lines_of_events(connection: Connection, tmp_path: Path) -> None:
    spaced = EVENT.replace(":7}", ": 7}")
    new = EVENT.replace("}", ',"slot":2}', 1)
    values = by_lines(tmp_path / "a.json", f"{EVENT}\n\n{spaced}\n{new}\n{EVENT[:-1]}\n")
    values["hard_lines"] = json.dumps([{"line_number": 9, "raw_text": EVENT, "is_readable": False}])
    found = connection.execute(sql("lines_of_events"), values)
    names = [column[0] for column in found.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    assert [row["quarantine_reason"] for row in rows] == [
        *(None, None, None, None, "malformed", "malformed")
    ]
    assert [row["is_row"] for row in rows] == [True, False, True, True, True, True]
    assert [row["raw_text"] for row in rows] == [None, None, spaced, new, EVENT[:-1], EVENT]
    assert [row["unknown_keys"] for row in rows][3] == ["event_data.slot"]
    assert [row["line_number"] for row in rows] == [None] * 5 + [9]
    nothing = by_lines(tmp_path / "a.json", '{"day":"2020-11-01"}\n')
    [row] = connection.execute(sql("lines_of_events"), nothing).fetchall()
    assert row[-1] == ["user_id", "event_data.position", "event_data.value_prop"]


def test_lines_of_payments(connection: Connection, tmp_path: Path) -> None:
    text = "user_id,total,pay_date,value_prop\n7,1.5,2020-11-01,point\n7,-1,2020-11-01,\n"
    columns = json.dumps(["user_id", "total", "pay_date", "value_prop"])
    values = by_lines(tmp_path / "a.csv", text, columns=columns)
    header, good, bad = connection.execute(sql("lines_of_payments"), values).fetchall()
    assert header[5] == "bad_type"
    assert good[1:6] == (DAY, 7, "point", Decimal("1.50"), None)
    assert good[7] == "7,1.5,2020-11-01,point"
    assert (bad[5], bad[-1]) == ("missing_field", ["value_prop"])


def test_what_becomes_of_the_lines_of_a_file(connection: Connection) -> None:
    """A header, a row, a blank line, an unusual row, a bad one, and one that comes again."""
    judged(
        connection,
        (None, 0, "bad_type", True, "header", None),
        (None, 7, None, True, None, None),
        (None, None, None, False, None, None),
        (None, 8, None, True, "unusual", ["slot"]),
        (None, 9, "bad_type", True, "bad", ["slot", "slot"]),
        (6, 7, None, True, None, None),
    )
    connection.execute("set variable header_line_number = 1")
    connection.execute(sql("numbered"))
    lines = connection.execute("select line_number from numbered order by all").fetchall()
    assert lines == [(2,), (4,), (5,), (6,)]
    repeated = connection.execute(sql("repeats")).fetchall()
    assert repeated == [(6, DAY, "point", EVENT)]
    connection.execute("create temp table repeats as " + sql("repeats"))
    valid = connection.execute(sql("valid")).fetchall()
    assert sorted(row[0] for row in valid) == [2, 4]
    assert sorted(connection.execute(sql("rejected")).fetchall()) == [
        (5, "bad_type", None, None, None, "bad"),
        (6, "duplicate", DAY, "point", None, EVENT),
    ]
    assert connection.execute(sql("unusual")).fetchall() == [(4, "unusual")]
    assert connection.execute(sql("unknown_fields")).fetchall() == [("slot", 2)]


@pytest.mark.parametrize("kind", ["events", "payments"])
def test_counts(connection: Connection, kind: str) -> None:
    values = "1 as position" if kind == "events" else "1.50::decimal(18, 2) as amount"
    connection.execute(
        "create temp table valid_rows as select date '2020-11-01' as event_date,"
        f" 'point' as value_prop, {values}, unnest([7, 8]) as user_id, 0 as content_number"
    )
    connection.execute(
        "create temp table rejected_lines as select null::date as event_date,"
        " null::varchar as value_prop, 'bad_type' as quarantine_reason"
    )
    queries = {"events": sql("counts_of_events"), "payments": sql("counts_of_payments")}
    kept, rejected = connection.execute(queries[kind]).fetchall()
    amount, line = ("0.00", EVENT) if kind == "events" else ("3.00", "2020-11-01,1.50,7,point")
    assert kept == (0, DAY, "point", None, 2, Decimal(amount), 2 * (len(line) + 1))
    assert rejected == (0, None, None, "bad_type", 1, Decimal(0), 0)


def test_rows_that_were_read_together_get_their_file_and_line(connection: Connection) -> None:
    connection.execute(
        "create temp table joined as select unnest([7, 8, 9]) as user_id,"
        " null::bigint as line_number, 0 as content_number"
    )
    places = [
        {"first_row": 0, "first_line": 2, "content_number": 1},
        {"first_row": 2, "first_line": 2, "content_number": 2},
    ]
    found = connection.execute(sql("together"), {"places": json.dumps(places)}).fetchall()
    assert found == [(7, 2, 1), (8, 3, 1), (9, 2, 2)]


def test_files(connection: Connection) -> None:
    connection.execute("create schema raw")
    row = {"source_name": "pays", "unknown_fields": [{"field_name": "fee", "row_count": 3}]}
    connection.execute(sql("files"), {"files": json.dumps([row])})
    found = connection.execute("select source_name, unknown_fields[1].row_count from raw.files")
    assert found.fetchall() == [("pays", 3)]
