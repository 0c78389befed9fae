-- If the calendar lacks a week or has it twice, the prints of that week are silently lost
-- or doubled. The number of report weeks must be the one asked for, each week must begin
-- seven days after the one before, and the last must be that of int_run_window.
with

run_window as (
    select * from {{ ref('int_run_window') }}
    where as_of_date is not null
),

report_weeks as (
    select
        week_start_date,
        week_end_date,
        iso_week,
        lag(week_start_date) over (order by week_start_date) as previous_week_start_date,
        count(*) over () as weeks_in_calendar,
        max(week_start_date) over () as last_in_calendar
    from {{ ref('int_iso_weeks') }}
    where is_report_week
),

broken as (
    select
        run_window.report_weeks,
        run_window.last_week_start_date,
        report_weeks.*
    from run_window
    left join report_weeks
        on true
    where
        not coalesce(
            report_weeks.weeks_in_calendar = run_window.report_weeks
            and report_weeks.last_in_calendar = run_window.last_week_start_date
            and report_weeks.week_end_date = report_weeks.week_start_date + 6
            and coalesce(
                report_weeks.week_start_date = report_weeks.previous_week_start_date + 7,
                report_weeks.week_start_date = run_window.first_week_start_date
            ),
            false
        )
)

select * from broken
