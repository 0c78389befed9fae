"""An independent reference: the whole pipeline again in plain Python, to test the real one.

It was written only from the rules of the data. It shares no code, engine or design with the
package or the models. If the two disagree on the same raw folder, one of them is wrong. The
reference aims to be obviously right, so it is simple and keeps everything in memory.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from support.reference_files import read_files
from support.reference_rows import (
    LONGEST_LINE,
    PAY_COLUMNS,
    BrokenRowError,
    Event,
    Payment,
    check_event,
    check_payment,
    parse_event_line,
    parse_payment_line,
    unknown_event_keys,
)

FeatureRow = tuple[date, int, str, int, int, int, Decimal]
MartRow = tuple[str, date, str, date, int, str, int, bool, int, int, int, Decimal]
QuarantinedRow = tuple[str, str, int, str, str]
Row = TypeVar("Row", Event, Payment)

MART_COLUMNS = (
    "print_id",
    "week_start_date",
    "iso_week",
    "print_date",
    "user_id",
    "value_prop",
    "position",
    "is_clicked",
    "prior_views",
    "prior_clicks",
    "prior_payments",
    "prior_amount",
)
FEATURE_COLUMNS = (
    "feature_date",
    "user_id",
    "value_prop",
    "prior_views",
    "prior_clicks",
    "prior_payments",
    "prior_amount",
)
SOURCES = ("prints", "taps", "pays")


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of one run. If `as_of_date` is None, the latest valid print day is used."""

    run_date: date
    as_of_date: date | None = None
    week_rule: str = "complete"
    report_weeks: int = 1
    lookback_weeks: int = 3
    lookback_anchor: str = "week"
    max_quarantine_rate: Decimal = Decimal("0.01")
    allow_incomplete: bool = False
    serving_features: bool = False


@dataclass(frozen=True)
class Outcome:
    """The results of a run on a raw folder, including failed gates.

    - `mart`: the rows of `fct_prints` in the order of `final.csv`, see `MART_COLUMNS`.
    - `features`: the rows of `fct_user_features` in the order of features.parquet, see
      `FEATURE_COLUMNS`; None if the week that they would follow is not over, which stops the run.
      They are computed whether or not the run serves features.
    - `quarantine`: (source, file, line number, raw text, rule), by source, file and line.
    - `reconciliation`: (source, file) to the numbers of rows (read, kept, quarantined).
    - `gate`: the gates that failed, also those that `allow_incomplete` forgives.
    - `unknown_keys`: (source, file, key). A key inside event_data is `event_data.key`.
    - `week_starts`: the Mondays of the report weeks, oldest first.
    - `orphan_taps`: valid taps up to the cut-off for which no print exists.
    """

    mart: list[MartRow]
    features: list[FeatureRow] | None
    quarantine: list[QuarantinedRow]
    reconciliation: dict[tuple[str, str], tuple[int, int, int]]
    gate: set[str]
    unknown_keys: set[tuple[str, str, str]]
    week_starts: list[date]
    orphan_taps: int
    allow_incomplete: bool = False

    @property
    def passes(self) -> bool:
        """Return whether the run may be published."""
        forgiven = {"report_day_without_prints", "source_ends_early"}
        return not (self.gate - forgiven if self.allow_incomplete else self.gate)


# --- All rows ---


@dataclass
class _Ledger:
    """The result of reading every row of the three sources."""

    prints: list[Event] = field(default_factory=list)
    taps: list[Event] = field(default_factory=list)
    pays: list[Payment] = field(default_factory=list)
    quarantine: list[QuarantinedRow] = field(default_factory=list)
    reconciliation: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    unknown_keys: set[tuple[str, str, str]] = field(default_factory=set)


def _read_everything(raw_path: Path, run_date: date) -> _Ledger:
    ledger = _Ledger()
    files_of = {source: read_files(raw_path, source) for source in SOURCES}
    for source in SOURCES:
        seen: set[Event] = set()
        for file in files_of[source]:
            kept = quarantined = 0
            if source == "pays":
                unknown_columns = set(file.header) - set(PAY_COLUMNS)
                ledger.unknown_keys |= {(source, file.name, name) for name in unknown_columns}
            for line_number, line in file.rows:
                try:
                    if source == "pays":
                        payment = parse_payment_line(line, file.header)
                        ledger.pays.append(check_payment(payment, run_date))
                    else:
                        row = parse_event_line(line)
                        unknown = unknown_event_keys(row)
                        ledger.unknown_keys |= {(source, file.name, key) for key in unknown}
                        event = check_event(row, run_date)
                        if event in seen:
                            raise BrokenRowError("duplicate")
                        seen.add(event)
                        (ledger.prints if source == "prints" else ledger.taps).append(event)
                    kept += 1
                except BrokenRowError as broken:
                    raw_text = line[:LONGEST_LINE].decode("utf-8", errors="backslashreplace")
                    ledger.quarantine.append(
                        (source, file.name, line_number, raw_text, broken.rule)
                    )
                    quarantined += 1
            ledger.reconciliation[source, file.name] = (len(file.rows), kept, quarantined)
    return ledger


# --- Weeks, gates and the mart ---


def monday_of(day: date) -> date:
    """Return the Monday of the ISO week of a day."""
    return day - timedelta(days=day.weekday())


def iso_week_of(day: date) -> str:
    """Return the label of the ISO week of a day, such as 2020-W48."""
    year, week, _ = day.isocalendar()
    return f"{year:04d}-W{week:02d}"


def print_id_of(event: Event) -> str:
    """Return the surrogate key of a print."""
    parts = (event.day.isoformat(), str(event.user_id), event.value_prop, str(event.position))
    return hashlib.md5("-".join(parts).encode("utf-8"), usedforsecurity=False).hexdigest()


def report_weeks_of(cut_off: date, parameters: Parameters) -> list[date]:
    """Return the Mondays of the report weeks for a cut-off, oldest first."""
    last_monday = monday_of(cut_off)
    is_finished = cut_off.weekday() == 6
    if parameters.week_rule == "complete" and not is_finished:
        last_monday -= timedelta(weeks=1)
    weeks_back = reversed(range(parameters.report_weeks))
    return [last_monday - timedelta(weeks=weeks) for weeks in weeks_back]


def compute(raw_path: Path, parameters: Parameters) -> Outcome:
    """Compute the results of a run on a raw folder.

    Without `as_of_date` and without a valid print there is no cut-off. Then there are no report
    weeks and no mart, the gate `report_week_without_prints` fails, and every tap is an orphan.

    Raises:
        Stopped: the run cannot start.
    """
    ledger = _read_everything(raw_path, parameters.run_date)
    cut_off = parameters.as_of_date or max((event.day for event in ledger.prints), default=None)

    prints = [event for event in ledger.prints if cut_off is None or event.day <= cut_off]
    taps = [event for event in ledger.taps if cut_off is None or event.day <= cut_off]
    pays = [payment for payment in ledger.pays if cut_off is None or payment.day <= cut_off]

    gate = set()
    if _exceeds_quarantine_rate(ledger, parameters.max_quarantine_rate):
        gate.add("quarantine_rate")
    if cut_off is None:
        week_starts, mart = [], []
        features: list[FeatureRow] | None = []
        gate.add("report_week_without_prints")
    else:
        week_starts = report_weeks_of(cut_off, parameters)
        # The days of the report weeks up to the cut-off. The week rule `latest` may cut a week.
        end = min(week_starts[-1].toordinal() + 6, cut_off.toordinal())
        report_days = [
            date.fromordinal(number) for number in range(week_starts[0].toordinal(), end + 1)
        ]
        gate |= _completeness(prints, taps, pays, week_starts, report_days, parameters)
        mart = _build_mart(prints, taps, pays, report_days, parameters)
        first_day = _feature_date(cut_off, week_starts, parameters)
        # The cut-off must be the last day before the features serve, or later.
        is_over = cut_off.toordinal() + 1 >= first_day.toordinal()
        features = _build_features(prints, taps, pays, first_day, parameters) if is_over else None

    existing_prints = set(prints)
    return Outcome(
        mart=mart,
        features=features,
        quarantine=ledger.quarantine,
        reconciliation=ledger.reconciliation,
        gate=gate,
        unknown_keys=ledger.unknown_keys,
        week_starts=week_starts,
        orphan_taps=sum(tap not in existing_prints for tap in taps),
        allow_incomplete=parameters.allow_incomplete,
    )


def _exceeds_quarantine_rate(ledger: _Ledger, max_rate: Decimal) -> bool:
    read: Counter[str] = Counter()
    for (source, _), (rows_read, _, _) in ledger.reconciliation.items():
        read[source] += rows_read
    broken = Counter(row[0] for row in ledger.quarantine if row[4] != "duplicate")
    # This multiplies instead of dividing, so that the rate is 0 if no rows were read.
    return any(broken[source] > Fraction(max_rate) * read[source] for source in SOURCES)


def _completeness(
    prints: list[Event],
    taps: list[Event],
    pays: list[Payment],
    week_starts: list[date],
    report_days: list[date],
    parameters: Parameters,
) -> set[str]:
    failed = set()
    days_with_prints = {event.day for event in prints}
    if set(week_starts) - {monday_of(day) for day in days_with_prints}:
        failed.add("report_week_without_prints")
    if parameters.week_rule == "complete" and set(report_days) - days_with_prints:
        failed.add("report_day_without_prints")
    tap_days = {tap.day for tap in taps}
    pay_days = {payment.day for payment in pays}
    for days in (tap_days, pay_days):
        if not days or max(days) < report_days[-1]:
            failed.add("source_ends_early")
    return failed


def _build_mart(
    prints: list[Event],
    taps: list[Event],
    pays: list[Payment],
    report_days: list[date],
    parameters: Parameters,
) -> list[MartRow]:
    """Return the mart. Prints, taps and payments must be those up to the cut-off."""
    views, clicks = _by_user_and_value_prop(prints), _by_user_and_value_prop(taps)
    payments = _by_user_and_value_prop(pays)
    tapped = set(taps)
    days = set(report_days)
    rows: list[MartRow] = []
    for event in prints:
        if event.day not in days:
            continue
        key = (event.user_id, event.value_prop)
        monday = monday_of(event.day)
        # The end is never later than the day of the print.
        end = monday if parameters.lookback_anchor == "week" else event.day
        start = end - timedelta(weeks=parameters.lookback_weeks)
        paid = _within(payments[key], start, end)
        rows.append(
            (
                print_id_of(event),
                monday,
                iso_week_of(event.day),
                event.day,
                event.user_id,
                event.value_prop,
                event.position,
                event in tapped,
                len(_within(views[key], start, end)),
                len(_within(clicks[key], start, end)),
                len(paid),
                sum((payment.total for payment in paid), Decimal("0.00")),
            )
        )
    return sorted(rows, key=lambda row: (row[3], row[4], row[6], row[5]))


def _feature_date(cut_off: date, week_starts: list[date], parameters: Parameters) -> date:
    if parameters.lookback_anchor == "print":
        return cut_off + timedelta(days=1)
    return week_starts[-1] + timedelta(weeks=1)


def _build_features(
    prints: list[Event],
    taps: list[Event],
    pays: list[Payment],
    first_day: date,
    parameters: Parameters,
) -> list[FeatureRow]:
    """Return what each user did with each value prop in the weeks before a day."""
    start = first_day - timedelta(weeks=parameters.lookback_weeks)
    views = _by_user_and_value_prop(_within(prints, start, first_day))
    clicks = _by_user_and_value_prop(_within(taps, start, first_day))
    payments = _by_user_and_value_prop(_within(pays, start, first_day))
    rows: list[FeatureRow] = []
    for key in sorted({*views, *clicks, *payments}):
        total = sum((payment.total for payment in payments[key]), Decimal("0.00"))
        counts = len(views[key]), len(clicks[key]), len(payments[key])
        rows.append((first_day, *key, *counts, total))
    return rows


def _by_user_and_value_prop(rows: list[Row]) -> defaultdict[tuple[int, str], list[Row]]:
    found: defaultdict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.user_id, row.value_prop].append(row)
    return found


def _within(rows: list[Row], start: date, end: date) -> list[Row]:
    """Return the rows from the start of a window to the day before its end."""
    return [row for row in rows if start <= row.day < end]
