"""Write report.html: the report of a run as one page without network access or scripts.

The page shows the facts of report.json, figures from the run's database, and earlier runs from the
history in it. This module passes only numbers and text, and the template escapes all text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jinja2
from markupsafe import Markup, escape

from value_props.database import MART, USER_FEATURES, opened, rows_of, sql
from value_props.errors import printable

RUNS_SHOWN = 30
DAYS_SHOWN = 120
MODELS_SHOWN = 10
_UNKNOWN = "\u2013"

# Upper bound of each bin; one more bin holds higher values.
_COUNT_BINS = (0, 1, 2, 4, 8, 16, 32, 64)
_AMOUNT_BINS = (0, 1, 10, 100, 1_000, 10_000, 100_000)
FEATURES = {
    "prior_views": _COUNT_BINS,
    "prior_clicks": _COUNT_BINS,
    "prior_payments": _COUNT_BINS,
    "prior_amount": _AMOUNT_BINS,
}

_DAYS = """
    select source_name, activity_date, row_count
    from intermediate.int_source_days order by all
"""

_FILES = """
    select *, rows_kept - rows_up_to_cut_off as rows_after_cut_off
    from quality.source_profiles where run_id = ? order by source_name, file_name
"""


@dataclass(frozen=True)
class Figures:
    """What the page shows besides the report. A figure without data is empty.

    Args:
        files: one row per raw file.
        days: one chart per source: bars in percent of width and height, and numbers for its text.
        heat: by value prop and position: click-through rate and shade, both 0 to 1.
        positions: the columns of `heat`, ascending.
        weeks: one row per value prop: numbers of the last week and of the week before.
        features: by feature: the label, number of prints and share (0 to 1) of each bin.
        features_for_ranking: the same of the rows of fct_user_features.
        runs: the last runs, oldest first.
        grid: by test: the result in each of `runs`; None if the test did not run.
        slowest: the tables that took longest to build.
    """

    files: list[dict[str, Any]]
    days: list[dict[str, Any]]
    heat: dict[str, dict[int, dict[str, Any]]]
    positions: list[int]
    weeks: list[dict[str, Any]]
    features: dict[str, list[dict[str, Any]]]
    features_for_ranking: dict[str, list[dict[str, Any]]]
    runs: list[dict[str, Any]]
    grid: dict[str, list[dict[str, Any] | None]]
    slowest: list[dict[str, Any]]


def write_page(report: Mapping[str, Any], database: Path | None, path: Path) -> None:
    """Write the page of a run.

    Args:
        report: the report, as described by report.schema.json.
        database: the database of the run with the history; None if it cannot be read.
        path: the page to write. The same report and tables give the same bytes.
    """
    path.write_text(render(report, _figures(report, database)), encoding="utf-8")


def render(report: Mapping[str, Any], figures: Figures) -> str:
    """Return the page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("value_props.record"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters.update(number=_number, share=_share, change=_change, coded=_coded)
    # If the run failed before its window was known, every name in it is None.
    window = report["window"] or defaultdict(lambda: None)
    return environment.get_template("report.html.j2").render(
        report=report,
        window=window,
        last_lookback_day=_last_lookback_day(window),
        figures=figures,
    )


def _last_lookback_day(window: Mapping[str, Any]) -> date | None:
    """Return the day on which all lookbacks end; None if each print or week has its own."""
    week = window["last_week_start_date"]
    if not week or week != window["first_week_start_date"] or window["lookback_anchor"] != "week":
        return None
    return date.fromisoformat(week) - timedelta(days=1)


def _coded(text: str) -> Markup:
    """Mark what stands between backticks as code."""
    code = Markup("<code>{}</code>")
    parts = [
        code.format(part) if place % 2 else escape(part)
        for place, part in enumerate(printable(text).split("`"))
    ]
    return Markup("").join(parts)


def _printable(value: object) -> object:
    """Escape control and invisible characters, because raw text is not trusted."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(printable(line) for line in value.split("\n"))
    return value


def _figures(report: Mapping[str, Any], database: Path | None) -> Figures:
    with opened(database) as connection:
        heat = _heat(rows_of(connection, sql("record", "clicks_by_position")))
        runs, grid = _grid(rows_of(connection, sql("record", "test_grid"), {"limit": RUNS_SHOWN}))
        return Figures(
            files=rows_of(connection, _FILES, [report["run"]["run_id"]]),
            days=_days(rows_of(connection, _DAYS), report["window"]),
            heat=heat,
            positions=sorted({position for cells in heat.values() for position in cells}),
            weeks=_weeks(rows_of(connection, sql("record", "last_two_weeks"))),
            features={name: _bins(connection, MART, name) for name in FEATURES},
            features_for_ranking={
                name: _bins(connection, USER_FEATURES, name) for name in FEATURES
            },
            runs=runs,
            grid=grid,
            slowest=_slowest(report["datasets"]),
        )


def _days(
    rows: Sequence[Mapping[str, Any]], window: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    if not rows or window is None:
        return []
    last = max(row["activity_date"] for row in rows)
    first = max(min(row["activity_date"] for row in rows), last - timedelta(DAYS_SHOWN - 1))
    days = [first + timedelta(number) for number in range((last - first).days + 1)]
    counts = {(row["source_name"], row["activity_date"]): row["row_count"] for row in rows}

    report = _span(window["first_week_start_date"], window["last_report_day"])
    is_by_print = window["lookback_anchor"] == "print"
    end = window["last_report_day" if is_by_print else "last_week_start_date"]
    lookback = _span(window["first_lookback_date"], end, days_before=1)

    charts = []
    for source in ("prints", "taps", "pays"):
        numbers = [counts.get((source, day), 0) for day in days]
        highest = max(numbers)
        charts.append(
            {
                "source": source,
                "first": first,
                "last": last,
                "highest": highest,
                "highest_day": days[numbers.index(highest)],
                "lowest": min(numbers),
                "lowest_day": days[numbers.index(min(numbers))],
                "report": report,
                "lookback": lookback,
                "bars": _bars(dict(zip(days, numbers, strict=True)), report, lookback),
            }
        )
    return charts


def _bars(
    rows_by_day: Mapping[date, int],
    report: tuple[date, date] | None,
    lookback: tuple[date, date] | None,
) -> list[dict[str, Any]]:
    """Return one bar per day, in percent of the chart's width and height."""
    width, highest = 100 / len(rows_by_day), max(rows_by_day.values())
    return [
        {
            "number": number,
            "left": number * width + 0.1 * width,
            "width": 0.8 * width,
            "height": 100 * rows / highest if highest else 0,
            "day": day,
            "rows": rows,
            "window": (
                "report"
                if _is_within(day, report)
                else "lookback"
                if _is_within(day, lookback)
                else "outside"
            ),
        }
        for number, (day, rows) in enumerate(rows_by_day.items())
    ]


def _span(start: str | None, end: str | None, days_before: int = 0) -> tuple[date, date] | None:
    """Return the first and last day of a window; None if the window is not known."""
    if not start or not end:
        return None
    return date.fromisoformat(start), date.fromisoformat(end) - timedelta(days_before)


def _is_within(day: date, span: tuple[date, date] | None) -> bool:
    return span is not None and span[0] <= day <= span[1]


def _heat(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, dict[str, Any]]]:
    cells: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        rate = row["clicked_prints"] / row["prints"]
        cells.setdefault(row["value_prop"], {})[row["position"]] = {**row, "rate": rate}
    highest = max((cell["rate"] for line in cells.values() for cell in line.values()), default=0)
    for line in cells.values():
        for cell in line.values():
            cell["shade"] = cell["rate"] / highest if highest else 0
    return cells


def _weeks(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    by_week: dict[bool, dict[str, Mapping[str, Any]]] = {True: {}, False: {}}
    for row in rows:
        by_week[row["is_last"]][row["value_prop"]] = row
    numbers = ("prints", "click_through_rate", "payments", "amount")
    # An incomplete week has fewer rows, so a change would mislead.
    is_comparable = all(
        any(row["is_complete_week"] for row in week.values()) for week in by_week.values()
    )
    return [
        {
            "value_prop": value_prop,
            **{
                name: {
                    "now": by_week[True].get(value_prop, {}).get(name),
                    "before": by_week[False].get(value_prop, {}).get(name),
                    "is_comparable": is_comparable,
                }
                for name in numbers
            },
        }
        for value_prop in sorted({*by_week[True], *by_week[False]})
    ]


def _bins(connection: duckdb.DuckDBPyConnection, table: str, feature: str) -> list[dict[str, Any]]:
    bounds = FEATURES[feature]
    cases = " ".join(f"when {feature} <= {bound} then {n}" for n, bound in enumerate(bounds))
    found = rows_of(
        connection,
        f"select case {cases} else {len(bounds)} end as bin, count(*) as n"  # nosec B608
        f" from {table} group by all",
    )
    rows = {row["bin"]: row["n"] for row in found}
    total = sum(rows.values())
    if not total:
        return []
    return [
        {
            "label": _bin_label(feature, number),
            "rows": rows.get(number, 0),
            "share": rows.get(number, 0) / total,
        }
        for number in range(max(rows) + 1)
    ]


def _bin_label(feature: str, number: int) -> str:
    bounds = FEATURES[feature]
    if feature == "prior_amount":
        if number == 0:
            return "0 or less"
        low = f"{bounds[number - 1]:,}"
        return f"over {low}" if number == len(bounds) else f"to {bounds[number]:,}"
    if number == len(bounds):
        return f"over {bounds[-1]}"
    low_count = bounds[number - 1] + 1 if number else 0
    return f"{low_count}" if low_count == bounds[number] else f"{low_count} to {bounds[number]}"


def _grid(
    rows: Iterable[Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any] | None]]]:
    runs: dict[str, dict[str, Any]] = {}
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        runs[row["run_id"]] = {name: row[name] for name in ("run_id", "started_at", "status")}
        if row["test_name"] is not None:
            results.setdefault(row["test_name"], {})[row["run_id"]] = dict(row)
    return list(runs.values()), {
        name: [by_run.get(run_id) for run_id in runs] for name, by_run in sorted(results.items())
    }


def _slowest(datasets: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    built = [dict(dataset) for dataset in datasets if dataset["seconds"]]
    built.sort(key=lambda dataset: (-dataset["seconds"], dataset["name"]))
    longest = built[0]["seconds"] if built else 0
    return [{**dataset, "share": dataset["seconds"] / longest} for dataset in built[:MODELS_SHOWN]]


def _number(value: float | None, digits: int = 0) -> str:
    return _UNKNOWN if value is None else f"{value:,.{digits}f}"


def _share(value: float | None, digits: int = 2) -> str:
    if value is None:
        return _UNKNOWN
    least = 10**-digits
    return f"< {least} %" if 0 < 100 * value < least / 2 else f"{100 * value:.{digits}f} %"


def _change(pair: Mapping[str, Any]) -> str:
    """Return the relative change, or `new` or `gone`."""
    now, before = pair["now"], pair["before"]
    if not pair["is_comparable"]:
        return _UNKNOWN
    if not before:
        return "new" if now else _UNKNOWN
    if now is None:
        return "gone"
    change = float(now) / float(before) - 1
    arrow = "▲" if change > 0.0005 else "▼" if change < -0.0005 else "="
    return f"{arrow} {abs(100 * change):.1f} %"
