"""Drift: the report week beside the weeks before it, against arithmetic of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from value_props import history
from value_props.gate import drift_warnings
from value_props.history import Begun, Ended
from value_props.published import OutPath

MONDAY = date(2020, 11, 23)
SOURCES = ("prints", "taps", "pays")


def student_t(week_count: int) -> float:
    """The quantile that drift_of_numbers.sql knows for so many weeks."""
    text = resources.files("value_props").joinpath("sql", "drift_of_numbers.sql").read_text()
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
    """

    weeks: Mapping[str, Sequence[int]]
    skipped: Mapping[str, Sequence[date]] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)
    quarantined: int = 0
    last_week: date = MONDAY

    def write(self, path: Path) -> None:
        """Make the tables that the history reads."""
        count = len(next(iter(self.weeks.values())))
        mondays = [self.last_week - timedelta(7 * (count - 1 - number)) for number in range(count)]
        with duckdb.connect(str(path)) as connection:
            for schema in ("marts", "intermediate", "staging", "quality"):
                connection.execute(f"create schema {schema}")
            connection.execute(
                "create table intermediate.int_run_window as select"
                f" date '{self.last_week + timedelta(6)}' as as_of_date,"
                f" date '{self.last_week}' as first_week_start_date,"
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
                (monday, value_prop, prints, prints // 2, prints // 2, prints, 2 * prints)
                for value_prop, numbers in self.weeks.items()
                for monday, prints in zip(mondays, numbers, strict=True)
            ]
            connection.executemany(
                "insert into marts.fct_value_prop_weeks"
                " select ?, 'W', ?, ?, ?, 0, ?, 0, ?, ?, true",
                rows,
            )
            days = [
                (source, mondays[0] + timedelta(number), 1)
                for source in SOURCES
                for number in range(7 * count - self.ends.get(source, 0))
                if mondays[0] + timedelta(number) not in self.skipped.get(source, ())
            ]
            connection.executemany(
                "insert into intermediate.int_source_days values (?, ?, ?)", days
            )
            self._write_sources(connection)

    def _write_sources(self, connection: duckdb.DuckDBPyConnection) -> None:
        for source in SOURCES:
            connection.execute(
                f"create table staging.base_{source}"
                " (file_number integer, user_id bigint, quarantine_reason varchar)"
            )
        connection.execute(
            "create table quality.quarantined_rows"
            " (source_name varchar, file_name varchar, quarantine_reason varchar)"
        )
        connection.execute(
            "create table quality.schema_drift (source_name varchar, file_name varchar)"
        )
        connection.execute(
            "create table staging.raw_files as select 'prints' as source_name, 'p' as file_name,"
            " 1 as file_number, 1 as size_bytes, 'x' as sha256"
        )
        connection.execute(
            "create table quality.row_reconciliation as select 'prints' as source_name,"
            f" 'p' as file_name, 10000 as rows_read, {10000 - self.quarantined} as rows_kept,"
            f" 0 as rows_up_to_cut_off, {self.quarantined} as rows_quarantined,"
            " date '2020-01-01' as first_date, date '2020-01-01' as last_date"
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
        begun = Begun(self.run_id, "2020-12-01T00:00:00Z", "raw", {}, None, {})
        history.stage(self.out, begun, Ended(status, 0), [], self.database)
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
        warning.startswith("Drift: Rows of prints a day: 429; 6 earlier weeks make")
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
