-- How much of each report week's lookback the data covers, per source. If a lookback
-- begins before the source does, its counts are too low.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

report_weeks as (
    select * from {{ ref('int_iso_weeks') }}
    where is_report_week
),

first_days as (
    select
        source_name,
        min(activity_date) as first_date
    from {{ ref('int_source_days') }}
    group by source_name
),

sources as (
    select distinct source_name from {{ ref('raw_files') }}
),

spans as (
    select
        report_weeks.week_start_date,
        report_weeks.iso_week,
        sources.source_name,
        report_weeks.lookback_start_date,
        report_weeks.week_start_date as lookback_end_date,
        first_days.first_date,
        7 * run_window.lookback_weeks as days_in_lookback
    from report_weeks
    cross join sources
    cross join run_window
    left join first_days
        on sources.source_name = first_days.source_name
),

covered as (
    select
        week_start_date,
        iso_week,
        source_name,
        lookback_start_date,
        lookback_end_date,
        days_in_lookback,
        case
            when first_date is null or first_date >= lookback_end_date then 0
            when first_date <= lookback_start_date then days_in_lookback
            else {{ days_between('first_date', 'lookback_end_date') }}
        end as days_covered
    from spans
)

select
    week_start_date,
    iso_week,
    cast(source_name as string) as source_name,
    lookback_start_date,
    lookback_end_date,
    days_in_lookback,
    cast(days_covered as integer) as days_covered
from covered
