"""Examples worked out by hand that pin the reference itself.

What the reference says is what the pipeline is held to, so nothing here is computed: every
expected value is written out. In November 2020 the Mondays are the 2nd, 9th, 16th, 23rd and 30th.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.raw_data import RawCase, big_case, raw_cases
from support.reference import (
    MART_COLUMNS,
    JsonNumber,
    JsonObject,
    Outcome,
    Parameters,
    Stopped,
    compute,
    iso_week_of,
    parse_json,
    split_csv_line,
)

HEADER = "pay_date,total,user_id,value_prop\n"
# Nothing but the completeness of a week is in doubt in most examples.
FORGIVING = Parameters(
    run_date=date(2020, 12, 31), allow_incomplete=True, max_quarantine_rate=Decimal(1)
)


def event(day: str, user_id: int = 5, value_prop: str = "point", position: int = 0) -> str:
    """One line of prints or taps."""
    data = {"position": position, "value_prop": value_prop}
    return json.dumps({"day": day, "event_data": data, "user_id": user_id}) + "\n"


def run(
    folder: Path, files: Mapping[str, str | bytes], parameters: Parameters = FORGIVING
) -> Outcome:
    """Compute a folder; a source without a file gets one without rows."""
    contents = {
        name: text.encode() if isinstance(text, str) else text for name, text in files.items()
    }
    for source, name in (("prints", "prints.json"), ("taps", "taps.json"), ("pays", "pays.csv")):
        if not any(given_name.startswith(source) for given_name in contents):
            contents[name] = b""
    RawCase(contents, parameters).write(folder)
    return compute(folder, parameters)


def features(outcome: Outcome) -> dict[str, tuple[int, int, int, str]]:
    """Print day to (views, clicks, payments, amount); only for marts of one row a day."""
    assert len({row[3] for row in outcome.mart}) == len(outcome.mart)
    return {str(row[3]): (row[8], row[9], row[10], str(row[11])) for row in outcome.mart}


def test_a_row_of_the_mart(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        {
            "prints.json": event("2020-11-20", 98702)
            + event("2020-11-24", 98702)
            + event("2020-11-29", 98702, position=3),
            "taps.json": event("2020-11-20", 98702, position=1) + event("2020-11-24", 98702),
            "pays.csv": HEADER + "2020-11-10,7.04,98702,point\n2020-11-10,7.04,98702,point\n"
            "2020-11-10,1,98702,prepaid\n2020-11-10,1,98703,point\n",
        },
    )
    assert outcome.mart[0] == (
        "6e7ad843b6116017f6912f236c3b71ac",
        date(2020, 11, 23),
        "2020-W48",
        date(2020, 11, 24),
        98702,
        "point",
        0,
        True,
        1,
        1,
        2,
        Decimal("14.08"),
    )
    assert len(MART_COLUMNS) == len(outcome.mart[0])
    assert [row[3:8] for row in outcome.mart[1:]] == [
        (date(2020, 11, 29), 98702, "point", 3, False)
    ]
    assert outcome.orphan_taps == 1
    assert outcome.week_starts == [date(2020, 11, 23)]


# Days on both sides of every edge of the windows of a print on Tuesday 24 and Sunday 29.
EDGES = ("2020-11-01", "2020-11-02", "2020-11-03", "2020-11-08", "2020-11-22", "2020-11-23")


@pytest.mark.parametrize(
    ("anchor", "of_tuesday", "of_sunday"),
    [
        # [2 November, 23 November) for both: all but the 1st and the 23rd.
        ("week", (4, 4, 4, "30.00"), (4, 4, 4, "30.00")),
        # [3 November, 24 November): all but the 1st and the 2nd, and not the 24th itself.
        # [8 November, 29 November): the 8th, 22nd and 23rd, and the print of the 24th.
        ("print", (4, 4, 4, "60.00"), (4, 3, 3, "56.00")),
    ],
)
def test_the_edges_of_the_window(
    tmp_path: Path,
    anchor: str,
    of_tuesday: tuple[int, int, int, str],
    of_sunday: tuple[int, int, int, str],
) -> None:
    days = "".join(event(day) for day in EDGES)
    report = event("2020-11-24") + event("2020-11-29")
    payments = "".join(f"{day},{2**n},5,point\n" for n, day in enumerate(EDGES))
    outcome = run(
        tmp_path,
        {"prints.json": days + report, "taps.json": days, "pays.csv": HEADER + payments},
        replace(FORGIVING, lookback_anchor=anchor),
    )
    assert features(outcome)["2020-11-24"] == of_tuesday
    assert features(outcome)["2020-11-29"] == of_sunday


def test_each_report_week_keeps_its_own_lookback(tmp_path: Path) -> None:
    prints = "".join(event(f"2020-11-{day:02}") for day in (8, 15, 22))
    outcome = run(
        tmp_path, {"prints.json": prints}, replace(FORGIVING, report_weeks=3, lookback_weeks=1)
    )
    assert outcome.week_starts == [date(2020, 11, 2), date(2020, 11, 9), date(2020, 11, 16)]
    assert features(outcome) == {
        "2020-11-08": (0, 0, 0, "0.00"),
        "2020-11-15": (1, 0, 0, "0.00"),
        "2020-11-22": (1, 0, 0, "0.00"),
    }


@pytest.mark.parametrize(
    ("day", "label"),
    [
        (date(2020, 11, 24), "2020-W48"),
        (date(2020, 12, 31), "2020-W53"),
        (date(2021, 1, 3), "2020-W53"),
        (date(2021, 1, 4), "2021-W01"),
        (date(2024, 12, 30), "2025-W01"),
        (date(2023, 1, 1), "2022-W52"),
    ],
)
def test_the_label_of_a_week_has_the_iso_year(day: date, label: str) -> None:
    assert iso_week_of(day) == label


def test_a_week_across_the_year_end(tmp_path: Path) -> None:
    parameters = replace(FORGIVING, run_date=date(2021, 1, 10))
    outcome = run(tmp_path, {"prints.json": event("2021-01-03", 1, "link_cobro", 2)}, parameters)
    assert outcome.mart[0][:4] == (
        "129b1adfd059bc74be54cf01b5198ac0",
        date(2020, 12, 28),
        "2020-W53",
        date(2021, 1, 3),
    )


@pytest.mark.parametrize(
    ("week_rule", "as_of_date", "monday", "days"),
    [
        # The latest print is of Monday 30: its own week has just begun.
        ("complete", None, date(2020, 11, 23), ["2020-11-28", "2020-11-29"]),
        ("latest", None, date(2020, 11, 30), ["2020-11-30"]),
        ("complete", date(2020, 11, 29), date(2020, 11, 23), ["2020-11-28", "2020-11-29"]),
        ("complete", date(2020, 11, 28), date(2020, 11, 16), []),
        ("latest", date(2020, 11, 28), date(2020, 11, 23), ["2020-11-28"]),
        ("complete", date(2020, 12, 31), date(2020, 12, 21), []),
    ],
)
def test_the_week_of_the_report(
    tmp_path: Path, week_rule: str, as_of_date: date | None, monday: date, days: list[str]
) -> None:
    prints = event("2020-11-28") + event("2020-11-29") + event("2020-11-30")
    parameters = replace(FORGIVING, week_rule=week_rule, as_of_date=as_of_date)
    outcome = run(tmp_path, {"prints.json": prints}, parameters)
    assert outcome.week_starts == [monday]
    assert [str(row[3]) for row in outcome.mart] == days


def test_the_order_of_the_mart(tmp_path: Path) -> None:
    prints = (
        event("2020-11-29", 1)
        + event("2020-11-28", 10)
        + event("2020-11-28", 9, "prepaid", 1)
        + event("2020-11-28", 9, "\U0001f600", 1)
        + event("2020-11-28", 9, "\uff5e", 1)
        + event("2020-11-28", 9, "Prepaid", 1)
        + event("2020-11-28", 9, "transport", 0)
    )
    outcome = run(tmp_path, {"prints.json": prints})
    assert [(row[4], row[6], row[5]) for row in outcome.mart] == [
        (9, 0, "transport"),
        (9, 1, "Prepaid"),
        (9, 1, "prepaid"),
        (9, 1, "\uff5e"),
        (9, 1, "\U0001f600"),
        (10, 0, "point"),
        (1, 0, "point"),
    ]


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


WEEK = "".join(event(f"2020-11-{day}") for day in range(23, 30))
LAST_PAYMENT = HEADER + "2020-11-29,1,5,point\n"
COMPLETE = {"prints.json": WEEK, "taps.json": event("2020-11-29"), "pays.csv": LAST_PAYMENT}
STRICT = Parameters(run_date=date(2020, 12, 31))


@pytest.mark.parametrize(
    ("changed", "parameters", "gate", "passes_if_allowed"),
    [
        ({}, {}, set(), True),
        (
            {"prints.json": WEEK.replace("2020-11-25", "2020-11-18")},
            {},
            {"report_day_without_prints"},
            True,
        ),
        ({"prints.json": event("2020-11-29")}, {"week_rule": "latest"}, set(), True),
        (
            {},
            {"report_weeks": 2},
            {"report_day_without_prints", "report_week_without_prints"},
            False,
        ),
        ({"taps.json": event("2020-11-28")}, {}, {"source_ends_early"}, True),
        ({"pays.csv": HEADER}, {}, {"source_ends_early"}, True),
        # The tap and the payment of Sunday are dated after the cut-off.
        (
            {},
            {"week_rule": "latest", "as_of_date": date(2020, 11, 28)},
            {"source_ends_early"},
            True,
        ),
        # Ends before the Sunday of its week, yet not before the cut-off.
        (
            {"taps.json": event("2020-11-28"), "pays.csv": HEADER + "2020-11-28,1,5,point\n"},
            {"week_rule": "latest", "as_of_date": date(2020, 11, 28)},
            set(),
            True,
        ),
        # A row in quarantine fills no gap.
        (
            {"pays.csv": HEADER + "2020-11-29,x,5,point\n"},
            {"max_quarantine_rate": Decimal(1)},
            {"source_ends_early"},
            True,
        ),
        ({"taps.json": event("2020-11-29") + "x\n"}, {}, {"quarantine_rate"}, False),
    ],
)
def test_the_gates(
    tmp_path: Path,
    changed: dict[str, str],
    parameters: dict[str, Any],
    gate: set[str],
    passes_if_allowed: bool,
) -> None:
    strict = replace(STRICT, **parameters)
    outcome = run(tmp_path, COMPLETE | changed, strict)
    assert outcome.gate == gate
    assert outcome.passes == (not gate)
    assert replace(outcome, allow_incomplete=True).passes == passes_if_allowed


@pytest.mark.parametrize(
    ("broken", "rate", "fails"),
    [(1, "0.01", False), (2, "0.01", True), (0, "0", False), (1, "0", True), (100, "1", False)],
)
def test_the_quarantine_rate_leaves_redeliveries_out(
    tmp_path: Path, broken: int, rate: str, fails: bool
) -> None:
    good = "".join(event("2020-11-29") for _ in range(100 - broken))
    outcome = run(
        tmp_path,
        COMPLETE | {"taps.json": good + "x\n" * broken},
        replace(STRICT, max_quarantine_rate=Decimal(rate)),
    )
    assert ("quarantine_rate" in outcome.gate) == fails


def test_what_arrives_after_the_cut_off_changes_nothing(tmp_path: Path) -> None:
    parameters = replace(FORGIVING, as_of_date=date(2020, 11, 29), max_quarantine_rate=Decimal(1))
    before = run(tmp_path / "before", COMPLETE, parameters)
    late = event("2020-11-30") + event("2020-12-05")
    after = run(
        tmp_path / "after",
        COMPLETE | {"prints_late.json": late, "taps_late.json": late + event("2020-12-05", 9)},
        parameters,
    )
    assert len(before.mart) == 7
    assert (after.mart, after.gate, after.orphan_taps) == (before.mart, before.gate, 0)
    # Only now is the quarantine fuller: it covers every row.
    assert after.reconciliation["taps", "taps_late.json"] == (3, 3, 0)


def test_without_a_valid_print_there_is_no_week(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"taps.json": event("2020-11-29")})
    assert (outcome.mart, outcome.week_starts) == ([], [])
    assert outcome.gate == {"report_week_without_prints"}
    assert not outcome.passes


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
    RawCase({"prints.json": b"", "taps.json": b"", "Pays.csv": b""}, STRICT).write(tmp_path)
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


def test_json_may_be_nested_deeply() -> None:
    assert parse_json("[" * 50_000 + "]" * 50_000)


JSON_PIECES = [
    *'{}[],:"\\ \t',
    *('"a"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\/"', '"\\x"', '"\\u12g4"', '"\x01"', '"\u2028"'),
    *("0", "-0", "007", "1.5", "1.", ".5", "1e3", "1E+5", "-", "true", "nul", "null", "NaN"),
    *('{"a":1}', "[1,2]", "-Infinity", "\u00a0", "\x0b"),
]


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _as_pairs(value: object) -> object:
    if isinstance(value, JsonObject):
        return [(key, _as_pairs(item)) for key, item in value.pairs]
    return [_as_pairs(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=300)
@given(st.lists(st.sampled_from(JSON_PIECES), max_size=8).map("".join))
def test_json_is_read_as_the_standard_library_reads_it(text: str) -> None:
    def read(text: str) -> object:
        value = json.loads(
            text,
            object_pairs_hook=list,
            parse_constant=_refuse,
            parse_int=JsonNumber,
            parse_float=JsonNumber,
        )
        # Unlike the standard library, the rules of the data refuse half a surrogate pair.
        json.dumps(value, ensure_ascii=False, default=str).encode()
        return value

    def outcome_of(parse: object) -> object:
        assert callable(parse)
        try:
            return parse(text)
        except ValueError:
            return "refused"

    assert outcome_of(lambda text: _as_pairs(parse_json(text))) == outcome_of(read)


@settings(max_examples=60, deadline=None)
@given(raw_cases())
def test_every_drawn_case_reconciles(case: RawCase) -> None:
    with TemporaryDirectory() as folder:
        case.write(Path(folder))
        try:
            outcome = compute(Path(folder), case.parameters)
        except Stopped:
            return
    for read, kept, quarantined in outcome.reconciliation.values():
        assert read == kept + quarantined
    assert len({row[0] for row in outcome.mart}) == len(outcome.mart)
    assert all(row[1] in outcome.week_starts for row in outcome.mart)


def test_a_big_case_passes_and_is_the_same_each_time(tmp_path: Path) -> None:
    case = big_case(seed=7, rows=1000)
    assert case == big_case(seed=7, rows=1000)
    case.write(tmp_path)
    outcome = compute(tmp_path, case.parameters)
    assert outcome.passes
    assert len(outcome.mart) > 100
