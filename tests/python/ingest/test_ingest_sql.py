"""Each query of the room that reads raw files, by itself, over a few rows."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.harness import ROOT

from value_props.ingest import read
from value_props.ingest.read import has_repeats, reader, sql

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


def rows_of(connection: Connection, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    found = connection.execute(query, values)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def odd_lines(connection: Connection, *lines: tuple[int, str, bool]) -> None:
    """Lines that are to be judged: line_number, line, is_readable."""
    connection.execute(
        "create temp table odd_lines (line_number bigint, line varchar, is_readable boolean)"
    )
    connection.executemany("insert into odd_lines values (?, ?, ?)", lines)


def lines(connection: Connection, *rows: tuple[int | None, bool, str | None]) -> None:
    """The lines of a file, as lines_of_events.sql gives them: user_id, is_plain, raw_text."""
    connection.execute(
        "create temp table lines (event_date date, user_id bigint, value_prop varchar,"
        " position integer, is_plain boolean, raw_text varchar, file_row_number bigint)"
    )
    for place, (user_id, is_plain, raw_text) in enumerate(rows):
        connection.execute(
            "insert into lines values (?, ?, 'point', 1, ?, ?, ?)",
            [DAY, user_id, is_plain, raw_text, place],
        )


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
        ("event_record('{\"day\":1}').day", "1"),
        ("event_record('{\"day\":1}').event_data.position", None),
        ("without_nulls(['a', null, 'b'])", ["a", "b"]),
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
    day, data, user = (
        '"day":"2020-11-01"',
        '"event_data":{"position":1,"value_prop":"point"}',
        '"user_id":7',
    )
    turned = data.replace('"position":1,"value_prop":"point"', '"value_prop":"point","position":1')
    orders = [f"{{{','.join(keys)}}}" for keys in permutations((day, data, user))]
    new = EVENT.replace("}", ',"slot":2}', 1)
    unusual = [*orders[1:], f"{{{day},{turned},{user}}}", spaced]
    odd = [new, EVENT[:-1], EVENT.replace("7", "0")]
    text = [EVENT, "", *unusual, *odd]
    values = reading(tmp_path / "a.json", "\n".join(text))
    rows = rows_of(connection, sql("lines_of_events"), values)
    assert [row["is_plain"] for row in rows] == [True, False] + 7 * [True] + 3 * [False]
    assert [row["raw_text"] for row in rows] == [None, None, *unusual, *odd]
    plain = {"event_date": DAY, "user_id": 7, "value_prop": "point", "position": 1}
    assert all(plain.items() <= row.items() for row in rows if row["is_plain"])


def test_lines_of_payments(connection: Connection, tmp_path: Path) -> None:
    header = "user_id,total,pay_date,value_prop"
    text = [header, "7,1.50,2020-11-01,point", '7,1.50,2020-11-01,"po,int"', "7,1.5,2020-11-01,a"]
    values = {
        **reading(tmp_path / "a.csv", "\n".join(text)),
        "columns": json.dumps(header.split(",")),
    }
    rows = rows_of(connection, sql("lines_of_payments"), values)
    assert [row["is_plain"] for row in rows] == [False, True, True, False]
    assert [row["raw_text"] for row in rows] == text
    assert [row["value_prop"] for row in rows if row["is_plain"]] == ["point", "po,int"]
    plain = "pay_date,total,user_id,value_prop"
    values = {
        **reading(
            tmp_path / "b.csv", f'{plain}\n2020-11-01,1.50,7,point\n2020-11-01,1.50,7,"point"'
        ),
        "columns": json.dumps(plain.split(",")),
    }
    rows = rows_of(connection, sql("lines_of_payments"), values)
    assert [row["is_plain"] for row in rows] == [False, True, True]
    assert [row["raw_text"] for row in rows] == [plain, None, '2020-11-01,1.50,7,"point"']


def test_judged_events(connection: Connection) -> None:
    new = EVENT.replace("}", ',"slot":2}', 1)
    odd_lines(
        *(connection, (2, new, True), (5, EVENT[:-1], True), (6, EVENT, False)),
        (7, '{"day":"2020-11-01"}', True),
    )
    rows = rows_of(connection, sql("judged_events"), {})
    assert [row["line_number"] for row in rows] == [2, 5, 6, 7]
    assert [row["quarantine_reason"] for row in rows] == [
        *(None, "malformed", "malformed", "missing_field")
    ]
    assert [row["raw_text"] for row in rows][:3] == [new, EVENT[:-1], EVENT]
    assert [row["unknown_keys"] for row in rows] == [["event_data.slot"], None, None, []]
    assert rows[3]["missing_fields"] == ["user_id", "event_data.position", "event_data.value_prop"]


def test_judged_payments(connection: Connection) -> None:
    odd_lines(connection, (2, "7,1.5,2020-11-01,point", True), (3, "7,-1,2020-11-01,", True))
    columns = json.dumps(["user_id", "total", "pay_date", "value_prop"])
    good, bad = rows_of(connection, sql("judged_payments"), {"columns": columns})
    assert good == {
        "line_number": 2,
        "event_date": DAY,
        "user_id": 7,
        "value_prop": "point",
        "amount": Decimal("1.50"),
        "quarantine_reason": None,
        "raw_text": "7,1.5,2020-11-01,point",
        "unknown_keys": None,
        "missing_fields": None,
    }
    assert (bad["quarantine_reason"], bad["missing_fields"]) == ("missing_field", ["value_prop"])


def test_what_becomes_of_the_lines_of_a_file(connection: Connection) -> None:
    """A header, a row, a blank line, an unusual row, a bad one, and one that comes again."""
    unusual = EVENT.replace("7}", '8,"slot":2}')
    lines(
        *(connection, (0, False, "header"), (7, True, None), (None, False, None)),
        *((8, False, unusual), (9, False, "bad"), (7, True, None)),
    )
    hard = {"line_number": 9, "raw_text": "hard", "is_readable": False}
    connection.execute(sql("hard_lines"), {"hard_lines": json.dumps([hard])})
    connection.execute("set variable header_line_number = 1")
    connection.execute(sql("odd_lines"))
    assert connection.execute("from odd_lines order by all").fetchall() == [
        *((4, unusual, True), (5, "bad", True), (9, "hard", False))
    ]
    connection.execute(
        f"create temp table judged as select *, 0 as file_row_number from ({sql('judged_events')})"
    )
    connection.execute(sql("numbered"))
    numbered = connection.execute("select line_number from numbered order by all").fetchall()
    assert numbered == [(2,), (4,), (5,), (6,), (9,)]
    repeated = connection.execute(sql("repeats")).fetchall()
    assert repeated == [(6, DAY, "point", EVENT)]
    connection.execute("create temp table repeats as " + sql("repeats"))
    valid = rows_of(connection, sql("valid"), {})
    assert sorted((row["line_number"], row["user_id"]) for row in valid) == [(2, 7), (4, 8)]
    assert sorted(connection.execute(sql("rejected")).fetchall()) == [
        (5, "malformed", None, None, None, "bad"),
        (6, "duplicate", DAY, "point", None, EVENT),
        (9, "malformed", None, None, None, "hard"),
    ]
    assert connection.execute(sql("unusual")).fetchall() == [(4, unusual)]
    assert connection.execute(sql("unknown_fields")).fetchall() == [("slot", 1)]


@pytest.mark.parametrize("at_a_time", [1, 10, 100])
def test_a_repeated_event_is_seen_wherever_it_stands(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(read, "_SORTED_AT_A_TIME", at_a_time)
    connection.execute(
        "create temp table events as select date '2020-11-01' as event_date, user_id,"
        " 'point' as value_prop, 1 as position from unnest(range(1, 51)) as users (user_id)"
    )
    assert not has_repeats(connection, "events", 50)
    for user_id in (1, 25, 50):
        repeated = f"(from events union all from events where user_id = {user_id})"
        assert has_repeats(connection, repeated, 51)


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


def test_lines_of_users_are_found_by_value_and_by_text(connection: Connection) -> None:
    connection.execute("create schema raw")
    connection.execute(
        "create table raw.files as select * from (values"
        " ('prints', 1, 'p.json', []::varchar[]),"
        " ('taps', 1, 't.json', []),"
        " ('pays', 1, 'p.csv', ['total', 'user_id']))"
        " as files (source_name, file_number, file_path, columns)"
    )
    for source, rows in {
        "prints": "(1, 9, 7), (1, 2, 7)",
        "taps": "(1, 1, 70)",
        "pays": "(1, 2, 8)",
    }.items():
        connection.execute(
            f"create table raw.{source} as select * from (values {rows})"
            " as valid (file_number, line_number, user_id)"
        )
    connection.execute(
        "create table raw.rejected_lines as select * from (values"
        """ ('prints', 1, 4, '{"user_id": "7", oops'), ('prints', 1, 5, '{"user_id":71}'),"""
        " ('taps', 1, 3, 'nothing'), ('pays', 1, 3, '7,8'), ('pays', 1, 4, 'x,07'))"
        " as lines (source_name, file_number, line_number, raw_text)"
    )
    found = connection.execute(sql("lines_of_users"), {"users": "[7]"}).fetchall()
    assert found == [("p.csv", [4]), ("p.json", [2, 4, 9])]
    assert not connection.execute(sql("lines_of_users"), {"users": "[9]"}).fetchall()
