"""Drift: the report week beside the weeks before it, against arithmetic of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.harness import begun

from value_props.database import sql
from value_props.publish.out_path import OutPath
from value_props.record import history
from value_props.record.facts import Ended, Record
from value_props.run.gate import drift_warnings

MONDAY = date(2020, 11, 23)
SOURCES = ("prints", "taps", "pays")


def student_t(week_count: int) -> float:
    """The quantile that drift_of_numbers.sql knows for so many weeks."""
    text = sql("record", "drift_of_numbers")
    quantiles = {int(weeks): float(t) for weeks, t in re.findall(r"\((\d+), ([\d.]+)\)", text)}
    assert sorted(quantiles) == list(range(3, 13))
    return quantiles[week_count]


@dataclass
class Data:
    """What a run finds: weeks by value prop, oldest first, the last of them the report's.

    Args:
        weeks: by value prop, prints of each week; half of them clicked, a payment each of 2.00.
        skipped: days without a row, by source.
        ends: days by which a source ends before the others.
        quarantined: rows of prints, of 10,000.
        duplicates: how many of these are duplicates.
        last_week: Monday of the last week.
        report_weeks: how many weeks the report holds.
        days_over: of the last week, up to the cut-off.
        incomplete: Mondays of weeks that lack a day of prints.
        starts: first day of a source, where it begins after the first week.
    """

    weeks: Mapping[str, Sequence[int]]
    skipped: Mapping[str, Sequence[date]] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)
    quarantined: int = 0
    duplicates: int = 0
    last_week: date = MONDAY
    report_weeks: int = 1
    days_over: int = 7
    incomplete: Sequence[date] = ()
    starts: Mapping[str, date] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Make the tables that the history reads."""
        count = len(next(iter(self.weeks.values())))
        mondays = [self.last_week - timedelta(7 * (count - 1 - number)) for number in range(count)]
        with duckdb.connect(str(path)) as connection:
            for schema in ("marts", "intermediate", "staging", "quality"):
                connection.execute(f"create schema {schema}")
            connection.execute(
                "create table intermediate.int_run_window as select"
                f" date '{self.last_week + timedelta(self.days_over - 1)}' as as_of_date,"
                f" date '{self.last_week - timedelta(7 * (self.report_weeks - 1))}'"
                " as first_week_start_date,"
                f" date '{self.last_week}' as last_week_start_date,"
                f" date '{self.last_week + timedelta(6)}' as report_end_date,"
                f" date '{self.last_week - timedelta(21)}' as first_lookback_date"
            )
            connection.execute(
                "create table marts.fct_value_prop_weeks (week_start_date date, iso_week varchar,"
                " value_prop varchar, prints bigint, clicked_prints bigint,"
                " click_through_rate double, taps bigint, orphan_taps bigint, payments bigint,"
                " amount decimal(18, 2), is_complete_week boolean)"
            )
            connection.execute(
                "create table intermediate.int_source_days"
                " (source_name varchar, activity_date date, row_count bigint)"
            )
            rows = [
                (
                    *(monday, value_prop, prints, prints // 2, prints // 2, prints, 2 * prints),
                    monday not in self.incomplete,
                )
                for value_prop, numbers in self.weeks.items()
                for monday, prints in zip(mondays, numbers, strict=True)
            ]
            connection.executemany(
                "insert into marts.fct_value_prop_weeks select ?, 'W', ?, ?, ?, 0, ?, 0, ?, ?, ?",
                rows,
            )
            days = [
                (source, mondays[0] + timedelta(number), 1)
                for source in SOURCES
                for number in range(7 * count - (7 - self.days_over) - self.ends.get(source, 0))
                if mondays[0] + timedelta(number) not in self.skipped.get(source, ())
            ]
            connection.executemany(
                "insert into intermediate.int_source_days values (?, ?, ?)", days
            )
            self._write_sources(connection, mondays[0])

    def _write_sources(self, connection: duckdb.DuckDBPyConnection, first: date) -> None:
        connection.execute(
            "create table quality.quarantined_rows"
            " (source_name varchar, file_name varchar, quarantine_reason varchar)"
        )
        connection.executemany(
            "insert into quality.quarantined_rows values ('prints', 'prints', ?)",
            [
                ["duplicate" if number < self.duplicates else "malformed"]
                for number in range(max(self.quarantined, 1))
            ],
        )
        connection.execute(
            "create table quality.schema_drift (source_name varchar, file_name varchar)"
        )
        files = " union all ".join(
            f"select '{source}' as source_name, '{source}' as file_name, 1 as file_number,"
            f" date '{self.starts.get(source, first)}' as first_date"
            for source in SOURCES
        )
        connection.execute(
            "create table staging.raw_files as"
            f" select *, 1 as size_bytes, 'x' as sha256, 0 as distinct_users from ({files})"
        )
        connection.execute(
            "create table quality.row_reconciliation as"
            " select * exclude file_number, 10000 as rows_read,"
            " 10000 - rows_quarantined as rows_kept, 0 as rows_up_to_cut_off,"
            " first_date as last_date from (select *, case source_name when 'prints'"
            f" then {self.quarantined} else 0 end as rows_quarantined from ({files}))"
        )


class Project:
    """Runs with made-up tables, whose history is real."""

    def __init__(self, folder: Path) -> None:
        self.out = OutPath(folder / "out")
        self.out.work.mkdir(parents=True)
        self.count = 0

    def run(self, data: Data, status: str = "published") -> dict[tuple[str, str], dict[str, Any]]:
        """The checks of a run, by name and subject."""
        self.count += 1
        self.run_id = f"run{self.count:03}"
        self.database = self.out.root / f"{self.run_id}.duckdb"
        data.write(self.database)
        history.stage(self.out, Record(begun(self.run_id), Ended(status, 0)), self.database)
        history.commit(self.out, self.run_id)
        self.out.work.mkdir(exist_ok=True)
        with duckdb.connect(str(self.database)) as connection:
            result = connection.execute(
                "select * from quality.drift_checks where run_id = ?", [self.run_id]
            )
            names = [column[0] for column in result.description or []]
            rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        checks = {(row["check_name"], row["subject"]): row for row in rows}
        assert len(checks) == len(rows)
        return checks


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@given(st.lists(st.integers(2, 100_000), min_size=1, max_size=15))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_range_is_that_of_the_weeks_before(
    tmp_path_factory: pytest.TempPathFactory, weeks: list[int]
) -> None:
    checks = Project(tmp_path_factory.mktemp("drift")).run(Data({"point": weeks}))
    check = checks["rows_per_day", "prints"]
    daily = [prints / 7 for prints in weeks]
    before = daily[:-1][-12:]
    assert check["value"] == pytest.approx(daily[-1])
    assert check["weeks_compared"] == len(before)
    if len(before) < 3:
        assert check["status"] == "unknown"
        assert "too few" in check["message"]
        return
    spread = max(stdev(before), 0.02 * mean(before))
    half_width = student_t(len(before)) * spread * math.sqrt(1 + 1 / len(before))
    assert check["typical"] == pytest.approx(mean(before))
    assert check["highest"] == pytest.approx(mean(before) + half_width)
    assert check["lowest"] == pytest.approx(max(mean(before) - half_width, 0))
    is_usual = check["lowest"] <= daily[-1] <= check["highest"]
    assert check["status"] == ("pass" if is_usual else "warn")
    assert checks["click_through_rate", "prints"]["status"] in ("pass", "warn")


@pytest.mark.parametrize("week_count", range(3, 13))
def test_one_week_in_500_lies_outside_by_chance(week_count: int) -> None:
    freedom = week_count - 1
    scale = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    # By Simpson's rule: the share of Student's distribution within ± t.
    t, steps = student_t(week_count), 20_000
    inside = sum(
        (1 if number in (0, steps) else 2 + 2 * (number % 2))
        * (1 + (t * number / steps) ** 2 / freedom) ** (-(freedom + 1) / 2)
        for number in range(steps + 1)
    )
    assert 1 - 2 * scale * inside * t / steps / 3 == pytest.approx(0.002, rel=0.001)


def test_steady_weeks_pass_and_a_jump_warns(project: Project) -> None:
    steady = [1000, 1010, 990, 1000, 1005, 995]
    checks = project.run(Data({"point": [*steady, 1000], "prepaid": [*steady, 1000]}))
    assert {check["status"] for check in checks.values()} == {"pass", "unknown"}
    assert drift_warnings(project.database, project.run_id) == []
    checks = project.run(Data({"point": [*steady, 2000], "prepaid": [*steady, 1000]}))
    warned = {key for key, check in checks.items() if check["status"] == "warn"}
    assert warned == {
        ("rows_per_day", "prints"), ("rows_per_day", "taps"), ("rows_per_day", "pays"),
        ("value_prop_share", "point"), ("value_prop_share", "prepaid"),
    }  # fmt: skip
    warnings = drift_warnings(project.database, project.run_id)
    assert len(warnings) == 5
    assert any(
        warning.startswith("Drift: Rows of prints a day: 429; usual range from the last 6 weeks:")
        for warning in warnings
    )


def test_a_drop_warns_as_well(project: Project) -> None:
    checks = project.run(Data({"point": [1000, 1010, 990, 1000, 1005, 995, 400]}))
    assert checks["rows_per_day", "prints"]["status"] == "warn"
    # Everything else kept its proportion.
    assert checks["click_through_rate", "prints"]["status"] == "pass"
    assert checks["payment_amount", "pays"]["status"] == "pass"


def test_published_runs_tell_of_the_weeks_that_raw_files_no_longer_hold(project: Project) -> None:
    earlier = Data({"point": [100] * 5}, last_week=MONDAY - timedelta(7))
    project.run(earlier)
    # A week that this run has, it knows best.
    checks = project.run(Data({"point": [200, 200]}))
    check = checks["rows_per_day", "prints"]
    assert check["weeks_compared"] == 5
    assert check["typical"] == pytest.approx((4 * 100 + 200) / 5 / 7)


def test_failed_runs_are_not_compared_with(project: Project) -> None:
    project.run(Data({"point": [100] * 5}, last_week=MONDAY - timedelta(7)), status="failed")
    assert project.run(Data({"point": [200, 200]}))["rows_per_day", "prints"]["status"] == "unknown"


def test_the_rate_of_quarantine_is_compared_with_earlier_runs(project: Project) -> None:
    key = ("quarantine_rate", "prints")
    for number in range(4):
        week = MONDAY - timedelta(7 * (4 - number))
        data = Data({"point": [100] * 3}, quarantined=500 + number, last_week=week)
        assert project.run(data)[key]["status"] == ("unknown" if number < 3 else "pass")
    assert project.run(Data({"point": [100] * 3}, quarantined=900))[key]["status"] == "warn"
    # The week of a run that is repeated is no earlier week, and fewer bad rows are no fault.
    again = project.run(Data({"point": [100] * 3}, quarantined=0))[key]
    assert (again["status"], again["weeks_compared"]) == ("pass", 4)


def test_a_new_value_prop_warns_until_it_is_known(project: Project) -> None:
    checks = project.run(Data({"point": [10, 10, 10], "novel": [0, 0, 10]}))
    assert checks["new_value_prop", "novel"]["status"] == "warn"
    assert ("new_value_prop", "prints") not in checks
    checks = project.run(
        Data({"point": [10, 10], "novel": [0, 10]}, last_week=MONDAY + timedelta(7))
    )
    assert checks["new_value_prop", "prints"]["status"] == "pass"
    alone = Project(project.out.root / "alone").run(Data({"point": [10]}))
    assert alone["new_value_prop", "prints"]["status"] == "unknown"


def test_missing_days_count_inside_the_windows(project: Project) -> None:
    weeks = {"point": [10] * 6}
    inside, before = MONDAY - timedelta(21), MONDAY - timedelta(22)
    checks = project.run(Data(weeks, skipped={"taps": [before], "pays": [inside, MONDAY]}))
    assert checks["missing_day", "prints"]["status"] == "pass"
    assert checks["missing_day", "taps"]["status"] == "pass"
    pays = checks["missing_day", "pays"]
    assert (pays["status"], pays["value"]) == ("warn", 2)
    assert f"{inside}, {MONDAY}" in pays["message"]


def test_a_source_that_ends_before_the_others_warns(project: Project) -> None:
    checks = project.run(Data({"point": [10] * 4}, ends={"taps": 2}))
    taps = checks["source_ends_early", "taps"]
    assert (taps["status"], taps["value"]) == ("warn", 2)
    assert checks["source_ends_early", "pays"]["status"] == "pass"
    # What comes after its end is told once.
    assert checks["missing_day", "taps"]["status"] == "pass"


def test_a_week_that_is_not_over_counts_the_days_it_has(project: Project) -> None:
    check = project.run(Data({"point": [700, 700, 700, 200]}, days_over=2))
    assert check["rows_per_day", "prints"]["value"] == pytest.approx(100)
    # What comes after the cut-off is not missing.
    assert check["missing_day", "prints"]["status"] == "pass"


def test_only_complete_weeks_are_compared_with(project: Project) -> None:
    gap = MONDAY - timedelta(14)
    check = project.run(Data({"point": [700, 700, 700, 70, 700, 700]}, incomplete=[gap]))
    assert check["rows_per_day", "prints"]["weeks_compared"] == 4
    # A run that knows a week in part leaves it to one that knows it whole.
    late = Data({"point": [9, 700]}, last_week=MONDAY + timedelta(7), incomplete=[MONDAY])
    again = project.run(late)["rows_per_day", "prints"]
    assert (again["weeks_compared"], again["typical"]) == (5, pytest.approx(100))


def test_a_run_does_not_take_its_own_week_from_another(project: Project) -> None:
    project.run(Data({"point": [700] * 5}))
    without = Data({"point": [700] * 4}, last_week=MONDAY - timedelta(7))
    path = project.out.root / "without.duckdb"
    without.write(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"update intermediate.int_run_window set last_week_start_date = date '{MONDAY}'"
        )
    history.stage(project.out, Record(begun("run999"), Ended("failed", 1)), path)
    with duckdb.connect(str(path)) as connection:
        found = connection.execute(
            "select count(*) from quality.drift_checks"
            " where run_id = 'run999' and check_name = 'rows_per_day'"
        ).fetchone()
    assert found == (0,)


def test_a_source_is_compared_from_its_first_whole_week_on(project: Project) -> None:
    begins = MONDAY - timedelta(7 * 4 - 3)
    checks = project.run(Data({"point": [700] * 7}, starts={"pays": begins}))
    assert checks["rows_per_day", "prints"]["weeks_compared"] == 6
    assert checks["rows_per_day", "pays"]["weeks_compared"] == 3
    # A tap that could not come is no print that was not clicked.
    taps = Project(project.out.root / "taps").run(
        Data({"point": [700] * 7}, starts={"taps": begins})
    )
    assert taps["click_through_rate", "prints"]["weeks_compared"] == 3


def test_redelivered_rows_are_no_drift(project: Project) -> None:
    data = Data({"point": [100] * 3}, quarantined=3000, duplicates=2990)
    assert project.run(data)["quarantine_rate", "prints"]["value"] == pytest.approx(0.001)


def test_rates_of_quarantine_are_those_of_the_newest_runs_of_twelve_weeks(project: Project) -> None:
    for weeks_ago, quarantined in ((14, 9000), (3, 9000), (3, 100), (2, 100), (1, 100)):
        week = MONDAY - timedelta(7 * weeks_ago)
        project.run(Data({"point": [100] * 3}, quarantined=quarantined, last_week=week))
    check = project.run(Data({"point": [100] * 3}, quarantined=100))["quarantine_rate", "prints"]
    assert (check["weeks_compared"], check["typical"]) == (3, pytest.approx(0.01))


def test_a_value_prop_never_shown_before_is_told_once(project: Project) -> None:
    checks = project.run(Data({"point": [10] * 5, "novel": [0, 0, 0, 0, 10]}))
    assert ("value_prop_share", "novel") not in checks
    assert checks["new_value_prop", "novel"]["status"] == "warn"


def test_every_report_week_may_bring_a_new_value_prop(project: Project) -> None:
    data = Data({"point": [10] * 5, "novel": [0, 0, 0, 10, 10]}, report_weeks=2)
    assert project.run(data)["new_value_prop", "novel"]["status"] == "warn"


def test_a_failed_run_makes_no_value_prop_known(project: Project) -> None:
    earlier = Data({"novel": [10] * 3}, last_week=MONDAY - timedelta(7))
    project.run(earlier, status="failed")
    checks = project.run(Data({"point": [10] * 3, "novel": [0, 0, 10]}))
    assert checks["new_value_prop", "novel"]["status"] == "warn"


def test_a_source_without_a_row_is_told(project: Project) -> None:
    checks = project.run(Data({"point": [10] * 4}, ends={"pays": 28}))
    assert checks["missing_day", "pays"]["status"] == "warn"
    assert checks["source_ends_early", "pays"]["status"] == "warn"
    assert "no row at all" in checks["source_ends_early", "pays"]["message"]
