"""The made-up raw data keeps the rules of the raw data and shows what plots should show."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.harness import ROOT

from value_props.database import literal, sql
from value_props.sample.raw_files import TABLES, SampleSummary, write_sample

EVENT_LINE = re.compile(
    r'\{"day":"2020-11-\d\d","event_data":\{"position":[0-3],"value_prop":"[a-z_]+"\},'
    r'"user_id":[1-9]\d*\}'
)
PAYMENT_LINE = re.compile(r"2020-11-\d\d,\d{1,3}\.\d\d,[1-9]\d*,[a-z_]+")
VALUE_PROPS = {
    "cellphone_recharge",
    "credits_consumer",
    "link_cobro",
    "point",
    "prepaid",
    "send_money",
    "transport",
}

Row = tuple[Any, ...]


class Sample:
    """A written sample and its rows as tables prints, taps and pays."""

    def __init__(self, summary: SampleSummary) -> None:
        self.summary = summary
        self._connection = duckdb.connect(":memory:")
        for source in ("prints", "taps"):
            self._connection.execute(
                f"""
                create table {source} as
                select
                    day,
                    user_id,
                    event_data.value_prop as value_prop,
                    event_data.position as position
                from read_ndjson({literal(summary.paths[source])},
                    hive_partitioning = false, columns = {{
                    day: 'DATE', user_id: 'BIGINT',
                    event_data: 'STRUCT(position INTEGER, value_prop VARCHAR)'
                }})
                """
            )
        self._connection.execute(
            f"""
            create table pays as
            from read_csv({literal(summary.paths["pays"])}, hive_partitioning = false,
                header = true, columns = {{
                pay_date: 'DATE', total: 'DECIMAL(18, 2)', user_id: 'BIGINT',
                value_prop: 'VARCHAR'
            }})
            """
        )

    def rows(self, query: str) -> list[Row]:
        """All rows of a query."""
        return self._connection.execute(query).fetchall()

    def row(self, query: str) -> Row:
        """The only row of a query."""
        (only,) = self.rows(query)
        return only


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return Sample(write_sample(tmp_path_factory.mktemp("sample"), scale=0.05))


def read_all(summary: SampleSummary) -> dict[str, bytes]:
    return {source: path.read_bytes() for source, path in summary.paths.items()}


def without_users(content: bytes) -> bytes:
    return re.sub(rb"\d{1,4}(?=}|,[a-z])", b"", content)


def test_rows_and_users_grow_with_scale(sample: Sample) -> None:
    assert sample.summary.rows == {
        "prints": round(0.05 * 508_617),
        "taps": round(0.05 * 50_859),
        "pays": round(0.05 * 756_483),
    }
    assert sample.summary.users == 5_000


def test_summary_tells_what_the_files_hold(sample: Sample) -> None:
    for source, path in sample.summary.paths.items():
        assert sample.row(f"select count(*) from {source}") == (sample.summary.rows[source],)
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) == sample.summary.rows[source] + (source == "pays")
    assert sample.row(
        """
        select count(distinct user_id), min(user_id), max(user_id) from (
            select user_id from prints
            union all select user_id from taps
            union all select user_id from pays
        )
        """
    ) == (sample.summary.users, 1, sample.summary.users)
    for source, day in (("prints", "day"), ("taps", "day"), ("pays", "pay_date")):
        assert sample.row(f"select min({day}), max({day}) from {source}") == (
            sample.summary.first_day,
            sample.summary.last_day,
        )


def test_lines_have_the_shape_of_the_public_case(sample: Sample) -> None:
    for source in ("prints", "taps"):
        lines = sample.summary.paths[source].read_text(encoding="utf-8").splitlines()
        assert all(EVENT_LINE.fullmatch(line) for line in lines)
    header, *payments = sample.summary.paths["pays"].read_text(encoding="utf-8").splitlines()
    assert header == "pay_date,total,user_id,value_prop"
    assert all(PAYMENT_LINE.fullmatch(line) for line in payments)


def test_files_are_in_order_of_days(sample: Sample) -> None:
    for source, day in (("prints", "day"), ("taps", "day"), ("pays", "pay_date")):
        days = [row[0] for row in sample.rows(f"select {day} from {source} order by rowid")]
        assert days == sorted(days)


def test_every_value_prop_is_in_every_source(sample: Sample) -> None:
    for source in ("prints", "taps", "pays"):
        found = {row[0] for row in sample.rows(f"select distinct value_prop from {source}")}
        assert found == VALUE_PROPS


def test_a_carousel_has_one_value_prop_a_position_and_no_gap(sample: Sample) -> None:
    assert sample.row(
        """
        select bool_and(
            prints_of_carousel = value_props
            and prints_of_carousel = positions
            and prints_of_carousel = last_position + 1
        )
        from (
            select
                count(*) as prints_of_carousel,
                count(distinct value_prop) as value_props,
                count(distinct position) as positions,
                max(position) as last_position
            from prints
            group by day, user_id
        )
        """
    ) == (True,)


def test_every_tap_is_of_one_print(sample: Sample) -> None:
    key = "day, user_id, value_prop, position"
    assert sample.row(f"select count(*) = count(distinct ({key})) from taps") == (True,)
    assert sample.row(f"select count(*) from taps anti join prints using ({key})") == (0,)


def test_every_day_has_every_source(sample: Sample) -> None:
    assert sample.row(
        """
        select
            (select count(distinct day) from prints),
            (select count(distinct day) from taps),
            (select count(distinct pay_date) from pays)
        """
    ) == (30, 30, 30)


def test_amounts_are_skewed_and_differ_by_value_prop(sample: Sample) -> None:
    low, high, mean, median = sample.row(
        "select min(total), max(total), avg(total), median(total)::double from pays"
    )
    assert 0 <= low < high <= Decimal("199.95")
    assert mean == pytest.approx(50.2, abs=1.0)
    assert median < 0.85 * mean
    means: dict[str, float] = dict(
        sample.rows("select value_prop, avg(total) from pays group by value_prop")
    )
    assert means["credits_consumer"] > 3 * means["transport"]


def test_click_through_rate_falls_with_position(sample: Sample) -> None:
    rates = [
        row[0]
        for row in sample.rows(
            """
            select
                (select count(*) from taps where taps.position = prints.position) / count(*)
            from prints
            group by prints.position
            order by prints.position
            """
        )
    ]
    assert len(rates) == 4
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 2 * rates[3]


def test_a_tap_is_followed_by_payments(sample: Sample) -> None:
    # Payments a week with the value prop by the same user, after a tap and after a print
    # that was not tapped.
    tapped, ignored = (
        row[0]
        for row in sample.rows(
            """
            with

            outcomes as (
                select
                    prints.*,
                    taps.day is not null as is_tapped
                from prints
                left join taps using (day, user_id, value_prop, position)
                where prints.day <= date '2020-11-24'
            )

            select count(pays.total) / count(distinct (day, outcomes.user_id, position))
            from outcomes
            left join pays
                on outcomes.user_id = pays.user_id
                and outcomes.value_prop = pays.value_prop
                and pays.pay_date between outcomes.day and outcomes.day + 6
            group by is_tapped
            order by is_tapped desc
            """
        )
    )
    assert tapped > 2 * ignored


def test_users_tap_the_value_prop_they_pay_with_most(sample: Sample) -> None:
    others, favourite = (
        rate
        for (rate,) in sample.rows(
            """
            with

            favourites as (
                select
                    user_id,
                    mode(value_prop) as value_prop
                from pays
                group by user_id
                having count(*) >= 10
            )

            select count(taps.day) / count(*)
            from prints
            inner join favourites
                on prints.user_id = favourites.user_id
            left join taps
                on prints.day = taps.day
                and prints.user_id = taps.user_id
                and prints.value_prop = taps.value_prop
                and prints.position = taps.position
            group by prints.value_prop = favourites.value_prop
            order by prints.value_prop = favourites.value_prop
            """
        )
    )
    assert favourite > 2 * others


def test_few_users_make_many_payments(sample: Sample) -> None:
    (share,) = sample.row(
        """
        select sum(payments) filter (where place <= 500) / sum(payments)
        from (
            select
                count(*) as payments,
                row_number() over (order by count(*) desc) as place
            from pays
            group by user_id
        )
        """
    )
    assert 0.3 < share < 0.5


def test_weekends_differ(sample: Sample) -> None:
    counts: dict[date, int] = dict(sample.rows("select day, count(*) from prints group by day"))
    sunday, monday = counts[date(2020, 11, 22)], counts[date(2020, 11, 23)]
    assert sunday < 0.9 * monday


def test_bytes_depend_on_the_seed_and_not_on_threads(tmp_path: Path) -> None:
    first = read_all(write_sample(tmp_path / "first", scale=0.05, threads=1))
    assert read_all(write_sample(tmp_path / "again", scale=0.05, threads=1)) == first
    assert read_all(write_sample(tmp_path / "threads", scale=0.05, threads=4)) == first
    other = read_all(write_sample(tmp_path / "other", scale=0.05, seed=8))
    assert all(without_users(other[source]) != without_users(first[source]) for source in first)


@pytest.mark.parametrize("seed", [0, 1, 2, -3])
def test_the_smallest_sample_is_complete(tmp_path: Path, seed: int) -> None:
    smallest = Sample(write_sample(tmp_path, scale=0.001, seed=seed))
    assert smallest.summary.rows == {"prints": 509, "taps": 51, "pays": 756}
    assert smallest.row("select count(distinct day) from prints") == (30,)
    assert smallest.row("select (select max(day) from taps), (select max(pay_date) from pays)") == (
        date(2020, 11, 30),
        date(2020, 11, 30),
    )


@pytest.mark.parametrize("scale", [0.0, 0.0009, 100.1, -1.0, float("nan")])
def test_scale_has_bounds(tmp_path: Path, scale: float) -> None:
    with pytest.raises(ValueError, match=rf"scale is {scale:g}, .* from 0\.001 to 100"):
        write_sample(tmp_path, scale=scale)
    assert list(tmp_path.iterdir()) == []


def test_only_the_three_files_and_a_note_are_left(tmp_path: Path) -> None:
    folder = tmp_path / "it's new" / "raw"
    write_sample(folder, scale=0.001)
    assert sorted(path.name for path in folder.iterdir()) == [
        "pays.csv",
        "prints.json",
        "sample.json",
        "taps.json",
    ]


def test_files_are_overwritten_only_on_demand(tmp_path: Path) -> None:
    taps = tmp_path / "taps.json"
    taps.write_text("precious", encoding="utf-8")
    with pytest.raises(FileExistsError, match=re.escape(str(taps))):
        write_sample(tmp_path, scale=0.001)
    assert [path.name for path in tmp_path.iterdir()] == ["taps.json"]
    assert taps.read_text(encoding="utf-8") == "precious"

    write_sample(tmp_path, scale=0.001, overwrite=True)
    assert taps.read_text(encoding="utf-8").startswith('{"day":"2020-11-01"')


def test_every_query_is_a_step() -> None:
    queries = {path.stem for path in (ROOT / "value_props/sample/sql").glob("*.sql")}
    assert queries == {"macros", *TABLES, "events_file", "pays_file"}


def test_a_run_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_at_payments(room: str, name: str) -> str:
        return "select nothing" if name == "pays_file" else sql(room, name)

    monkeypatch.setattr("value_props.sample.raw_files.sql", fail_at_payments)
    with pytest.raises(duckdb.Error):
        write_sample(tmp_path, scale=0.001)
    assert list(tmp_path.iterdir()) == []
