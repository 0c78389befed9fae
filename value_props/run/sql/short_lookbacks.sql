-- Report weeks with a lookback that begins before the data; none if allow_incomplete is
-- set.
with

coverage as (
    select
        coverage.*,
        coverage.days_covered < coverage.days_in_lookback as is_short
    from quality.lookback_coverage as coverage
    inner join intermediate.int_run_window as run_window
        on not run_window.allow_incomplete
),

last_short_week as (
    select max(week_start_date) as week_start_date
    from coverage
    where is_short
),

-- From this week on, the data covers each lookback.
first_covered_week as (
    select min(coverage.week_start_date) as week_start_date
    from coverage
    inner join last_short_week
        on coverage.week_start_date > last_short_week.week_start_date
)

select
    coverage.iso_week,
    any_value(coverage.days_in_lookback) as days_in_lookback,
    string_agg(
        coverage.source_name || ' ' || coverage.days_covered,
        ', '
        order by coverage.source_name
    ) as days,
    any_value(first_covered_week.week_start_date) as first_covered_week
from coverage
cross join first_covered_week
where coverage.is_short
group by coverage.week_start_date, coverage.iso_week
order by coverage.week_start_date
