-- The seven days of each report week, and the number of prints on each up to the
-- cut-off.
with

report_weeks as (
    select * from {{ ref('int_iso_weeks') }}
    where is_report_week
),

weekdays as (
    {{ dbt_utils.generate_series(upper_bound=7) }}
),

print_days as (
    select * from {{ ref('int_source_days') }}
    where source_name = 'prints'
),

report_days as (
    select
        report_weeks.week_start_date,
        report_weeks.iso_week,
        cast(
            report_weeks.week_start_date + cast(weekdays.generated_number - 1 as integer)
            as date
        ) as report_date
    from report_weeks
    cross join weekdays
),

counted as (
    select
        report_days.*,
        coalesce(print_days.row_count, 0) as prints
    from report_days
    left join print_days
        on report_days.report_date = print_days.activity_date
)

select * from counted
