"""Examples worked out by hand that pin which files and rows the reference takes.

What the reference says is what the pipeline is held to, so nothing here is computed: every
expected value is written out.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from support.raw_files import write_files
from support.reference import compute
from support.reference_examples import (
    COMPLETE,
    HEADER,
    LAST_PAYMENT,
    STRICT,
    WEEK,
    event,
    features,
    run,
)
from support.reference_files import Stopped
from support.reference_rows import split_csv_line

GOOD_EVENT = '{"day":"2020-11-01","event_data":{"position":0,"value_prop":"point"},"user_id":5}'


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("", "", None),
        ('"user_id":5', '"user_id":"007"', None),
        ('"user_id":5', '"user_id":9223372036854775807', None),
        ('"position":0', '"position":-0', None),
        ('"position":0', '"position":2147483647', None),
        ('"point"', '" point"', None),
        ('"point"', '"\\ud83d\\ude00"', None),
        ('"point"', '"new prop"', None),
        ('"point"', '"\u00a0"', None),
        ('"point"', '"\x7f"', None),
        ('"day"', '"d\\u0061y"', None),
        ('{"day"', '{"x":1,"x":2,"position":1,"position":2,"day"', None),
        ('{"day"', ' \t{ "x" : {"a":[1e999, -0.0]} , "day"', None),
        pytest.param('{"day"', '{"x":' + "[" * 1200 + "]" * 1200 + ',"day"', None, id="deep"),
        ("2020-11-01", "2000-01-01", None),
        ("2020-11-01", "2021-01-01", None),
        ('"position":0', '"position":0,', "malformed"),
        ('"user_id":5', '"user_id":NaN', "malformed"),
        ('"user_id":5', '"user_id":007', "malformed"),
        ('"user_id":5', '"user_id":5,"user_id":5', "malformed"),
        ('"user_id":5', '"user_id":5,"d\\u0061y":null', "malformed"),
        ('"position":0', '"position":0,"value\\u005fprop":"x"', "malformed"),
        ('"point"', '"\\ud83d"', "malformed"),
        ('{"day"', '{"x":"\\ude00","day"', "malformed"),
        ('{"day"', '{"\\udfff":1,"day"', "malformed"),
        ('"point"', '"a\x01"', "malformed"),
        ('"point"', '"a\x00"', "malformed"),
        ('{"day"', '\ufeff{"day"', "malformed"),
        (GOOD_EVENT, "[]", "malformed"),
        (GOOD_EVENT, GOOD_EVENT * 2, "malformed"),
        ('"user_id":5', '"user_id":null', "missing_field"),
        ('"user_id":5', '"user":5', "missing_field"),
        ('"point"', '" \\t"', "missing_field"),
        ('"event_data"', '"data"', "missing_field"),
        ('{"position":0,"value_prop":"point"}', "[]", "missing_field"),
        ("2020-11-01", "2020-02-30", "bad_type"),
        ("2020-11-01", "2020-2-3", "bad_type"),
        ("2020-11-01", "0000-01-01", "bad_type"),
        ("2020-11-01", "2020-11-01 ", "bad_type"),
        ('"user_id":5', '"user_id":5.0', "bad_type"),
        ('"user_id":5', '"user_id":1e3', "bad_type"),
        ('"user_id":5', '"user_id":true', "bad_type"),
        ('"user_id":5', '"user_id":" 5"', "bad_type"),
        ('"user_id":5', '"user_id":"-5"', "bad_type"),
        ('"user_id":5', '"user_id":"\u0665"', "bad_type"),
        ('"point"', "7", "bad_type"),
        ('"point"', '"a\\u0000"', "bad_type"),
        ("2020-11-01", "1999-12-31", "out_of_range"),
        ("2020-11-01", "2021-01-02", "out_of_range"),
        ('"user_id":5', '"user_id":-0', "out_of_range"),
        ('"user_id":5', '"user_id":-5', "out_of_range"),
        ('"user_id":5', '"user_id":9223372036854775808', "out_of_range"),
        pytest.param('"user_id":5', '"user_id":' + "9" * 5000, "out_of_range", id="huge"),
        ('"position":0', '"position":"2147483648"', "out_of_range"),
        # The first rule broken counts, whichever field breaks it.
        ('"day":"2020-11-01"', '"day":"1999-12-31","user_id":5', "malformed"),
        (
            '"2020-11-01","event_data":{"position":0',
            'null,"event_data":{"position":[]',
            "missing_field",
        ),
        (
            '"2020-11-01","event_data":{"position":0',
            '"1999-01-01","event_data":{"position":1.5',
            "bad_type",
        ),
    ],
)
def test_the_rules_of_prints_and_taps(tmp_path: Path, old: str, new: str, rule: str | None) -> None:
    assert old in GOOD_EVENT
    line = GOOD_EVENT.replace(old, new, 1)
    # On the second line, since a BOM at the very beginning is none of the row's.
    outcome = run(tmp_path, {"prints.json": "\n" + line, "taps.json": "\n" + line})
    assert outcome.quarantine == (
        []
        if rule is None
        else [("prints", "prints.json", 2, line, rule), ("taps", "taps.json", 2, line, rule)]
    )


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("2020-11-01,7.04,5,point", None),
        ('"2020-11-01","7.04","005","po""int, ""x"""', None),
        ("2020-11-01,7.04,5, point\x01", None),
        ("2020-11-01,7.04,5", "malformed"),
        ("2020-11-01,7.04,5,point,", "malformed"),
        ('2020-11-01,7.04,5,po"int', "malformed"),
        ('2020-11-01,7.04,5,"po"int', "malformed"),
        ('2020-11-01,7.04,5,"point" ', "malformed"),
        ('2020-11-01,7.04,5, "point"', "malformed"),
        ('2020-11-01,7.04,5,"point', "malformed"),
        ("2020-11-01,7.04,5,po\x00int", "malformed"),
        (",,,", "missing_field"),
        ('2020-11-01,7.04,5," \t"', "missing_field"),
        ("2020-11-01,abc,,point", "missing_field"),
        ("2020-11-31,7.04,5,point", "bad_type"),
        ("2020-11-01,.5,5,point", "bad_type"),
        ("2020-11-01,5.,5,point", "bad_type"),
        ("2020-11-01,1e3,5,point", "bad_type"),
        ('2020-11-01,"1,5",5,point', "bad_type"),
        ("2020-11-01,7.04,-5,point", "bad_type"),
        ("2020-11-01,-1,5.0,point", "bad_type"),
        ("2021-01-02,7.04,5,point", "out_of_range"),
        ("2020-11-01,7.04,0,point", "out_of_range"),
        ("2020-11-01,-0.001,5,point", "out_of_range"),
        ("2020-11-01,1000000000000.001,5,point", "out_of_range"),
    ],
)
def test_the_rules_of_pays(tmp_path: Path, line: str, rule: str | None) -> None:
    outcome = run(tmp_path, {"pays.csv": HEADER + line})
    expected = [] if rule is None else [("pays", "pays.csv", 2, line, rule)]
    assert outcome.quarantine == expected


def test_a_line_may_be_of_16_mebibytes_and_no_longer(tmp_path: Path) -> None:
    def line(length: int) -> bytes:
        start, end = b'{"x":"', b'",' + GOOD_EVENT[1:].encode()
        return start + b"x" * (length - len(start) - len(end)) + end

    longest = 16 * 1024 * 1024
    content = (
        b"\xef\xbb\xbf" + line(longest) + b"\r\n" + line(longest + 1) + b"\n" + b" " * (longest + 1)
    )
    outcome = run(tmp_path, {"prints.json": content})
    assert [row[2:5:2] for row in outcome.quarantine] == [(2, "malformed")]
    assert outcome.reconciliation["prints", "prints.json"] == (2, 1, 1)


@pytest.mark.parametrize(
    ("total", "amount"),
    [
        ("7.04", "7.04"),
        ("+7", "7.00"),
        ("0.005", "0.01"),
        ("1.005", "1.01"),
        ("2.675", "2.68"),
        ("0.015", "0.02"),
        ("0.0049999999999999999999999999", "0.00"),
        ("-0.00", "0.00"),
        ("0007.1", "7.10"),
        ("1000000000000.00", "1000000000000.00"),
        ("999999999999.995", "1000000000000.00"),
    ],
)
def test_totals_are_rounded_half_away_from_zero(tmp_path: Path, total: str, amount: str) -> None:
    files = {"prints.json": event("2020-11-29"), "pays.csv": f"{HEADER}2020-11-20,{total},5,point"}
    assert features(run(tmp_path, files))["2020-11-29"] == (0, 0, 1, amount)


def test_a_redelivery_is_counted_once_and_two_equal_payments_twice(tmp_path: Path) -> None:
    respelled = '{"user_id":"005","event_data":{"value_prop":"p\\u006fint","position":"0"},'
    respelled += '"day":"2020-11-20"}\n'
    prints = event("2020-11-29") + event("2020-11-20") + event("2020-11-20", position=1)
    outcome = run(
        tmp_path,
        {
            # Files count in order of code points: "-" before "." before "_".
            "prints.json": respelled,
            "prints-1.json": prints,
            "prints_1.json": respelled + "\n" + respelled,
            "pays.csv": HEADER + "2020-11-20,1.5,5,point\n" * 2,
        },
    )
    assert [row[1:3] + row[4:] for row in outcome.quarantine] == [
        ("prints.json", 1, "duplicate"),
        ("prints_1.json", 1, "duplicate"),
        ("prints_1.json", 3, "duplicate"),
    ]
    assert features(outcome) == {"2020-11-29": (2, 0, 2, "3.00")}
    assert list(outcome.reconciliation.values()) == [
        (3, 3, 0),
        (1, 0, 1),
        (2, 0, 2),
        (0, 0, 0),
        (2, 2, 0),
    ]


def test_line_numbers_count_every_physical_line(tmp_path: Path) -> None:
    lines = (b"\xef\xbb\xbf \r\n", b"a\n", b"\r", b"\t\r\n", b"b\r", b"\xff\n", b"\x00")
    payments = b"\r\n\r\n" + HEADER.encode() + b"x\r" + b"\n\xe9\xe2\x82,"
    outcome = run(tmp_path, {"prints.json": b"".join(lines), "pays.csv": payments})
    assert outcome.quarantine == [
        ("prints", "prints.json", 2, "a", "malformed"),
        ("prints", "prints.json", 5, "b", "malformed"),
        ("prints", "prints.json", 6, "\\xff", "malformed"),
        ("prints", "prints.json", 7, "\x00", "malformed"),
        ("pays", "pays.csv", 4, "x", "malformed"),
        ("pays", "pays.csv", 5, "\\xe9\\xe2\\x82,", "malformed"),
    ]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", [""]),
        (",", ["", ""]),
        ('"",a', ["", "a"]),
        ('"a,b","c""d",""""', ["a,b", 'c"d', '"']),
        ("a\u2028b, c ", ["a\u2028b", " c "]),
        ('"', None),
        ('"a"b', None),
        ('a"b"', None),
        ('"a""', None),
    ],
)
def test_a_line_of_csv(line: str, fields: list[str] | None) -> None:
    if fields is None:
        with pytest.raises(ValueError, match="quote"):
            split_csv_line(line)
    else:
        assert split_csv_line(line) == fields


def test_columns_are_free_in_order_and_strange_ones_are_reported(tmp_path: Path) -> None:
    files = {
        "prints.json": event("2020-11-29")
        + '{"day":null,"note":1,"event_data":{"a":1,"day":1}}\n'
        + '{"broken":1,}\n',
        "pays.csv": '\nvalue_prop,"user_id",note,total,Total,pay_date\n'
        'point,5,"a,b",7,x,2020-11-02',
    }
    outcome = run(tmp_path, files)
    assert outcome.unknown_keys == {
        ("prints", "prints.json", "note"),
        ("prints", "prints.json", "event_data.a"),
        ("prints", "prints.json", "event_data.day"),
        ("pays", "pays.csv", "note"),
        ("pays", "pays.csv", "Total"),
    }
    assert features(outcome) == {"2020-11-29": (0, 0, 1, "7.00")}


PACKED = gzip.compress(WEEK.encode())


@pytest.mark.parametrize(
    "added",
    [
        {"prints.json.gz": gzip.compress(event("2020-11-28").encode())},
        {"prints_2.json": WEEK},
        {"prints_2.ndjson.gz": PACKED},
        {"taps_2.json.gz": PACKED[:-1]},
        {"taps_2.json.gz": PACKED[:-6] + b"\x00" + PACKED[-5:]},
        {"taps_2.json.gz": b"{}"},
        {"taps_2.json.gz": b""},
        {"taps_2.json": b"\xff\xfe{\x00}\x00"},
        {"taps_2.json": "{}".encode("utf-16-be")},
        {"taps_2.json/taps.json": ""},
        {"pays_2.csv": "pay_date,total,user_id\n"},
        {"pays_2.csv": "pay_date,total,user_id,value_prop,total\n"},
        {"pays_2.csv": "pay_date,Total,user_id,value_prop\n"},
        {"pays_2.csv": "pay_date, total,user_id,value_prop\n"},
        {"pays_2.csv": 'pay_date,"total,user_id,value_prop\n'},
        {"pays_2.csv": b"pay_date,total,user_id,value_prop,\xff\n"},
    ],
)
def test_what_stops_the_run(tmp_path: Path, added: dict[str, str | bytes]) -> None:
    name = next(iter(added)).partition("/")[0]
    with pytest.raises(Stopped, match=name.removesuffix(".gz")):
        run(tmp_path, COMPLETE | added)


def test_a_source_without_a_file_stops_the_run(tmp_path: Path) -> None:
    write_files(tmp_path, {"prints.json": b"", "taps.json": b"", "Pays.csv": b""})
    with pytest.raises(Stopped, match="no file for pays"):
        compute(tmp_path, STRICT)
    with pytest.raises(Stopped, match="no file for prints"):
        compute(tmp_path / "nowhere", STRICT)


def test_what_does_not_stop_the_run(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "prints.json": WEEK,
        # The same content in two sources.
        "taps.json": WEEK,
        "pays.csv": LAST_PAYMENT,
        # Files without rows, the same twice.
        "prints_a.json": "",
        "prints_b.json": "",
        "pays_a.csv": HEADER,
        "pays_b.csv": HEADER,
        # A gzip of two members, cut inside a line.
        "taps_a.jsonl.gz": gzip.compress(GOOD_EVENT[:9].encode())
        + gzip.compress(GOOD_EVENT[9:].encode()),
        # No files of a source.
        "Prints.json": "x",
        "prints.txt": "x",
        "prints/prints.json": "x",
    }
    outcome = run(tmp_path, files, STRICT)
    assert outcome.passes
    assert outcome.reconciliation == {
        ("prints", "prints.json"): (7, 7, 0),
        ("prints", "prints_a.json"): (0, 0, 0),
        ("prints", "prints_b.json"): (0, 0, 0),
        ("taps", "taps.json"): (7, 7, 0),
        ("taps", "taps_a.jsonl.gz"): (1, 1, 0),
        ("pays", "pays.csv"): (1, 1, 0),
        ("pays", "pays_a.csv"): (0, 0, 0),
        ("pays", "pays_b.csv"): (0, 0, 0),
    }
