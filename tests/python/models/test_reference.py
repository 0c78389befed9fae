"""Examples worked out by hand that pin the mart and the gates of the reference.

What the reference says is what the pipeline is held to, so nothing here is computed: every
expected value is written out. In November 2020 the Mondays are the 2nd, 9th, 16th, 23rd and 30th.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from support.raw_data import RawCase, big_case, raw_cases
from support.raw_files import write_files
from support.reference import MART_COLUMNS, compute, iso_week_of
from support.reference_examples import (
    COMPLETE,
    FORGIVING,
    HEADER,
    STRICT,
    WEEK,
    event,
    features,
    run,
)
from support.reference_files import Stopped


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


@settings(max_examples=60, deadline=None)
@given(raw_cases())
def test_every_drawn_case_reconciles(case: RawCase) -> None:
    with TemporaryDirectory() as folder:
        write_files(Path(folder), case.files)
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
    write_files(tmp_path, case.files)
    outcome = compute(tmp_path, case.parameters)
    assert outcome.passes
    assert len(outcome.mart) > 100
