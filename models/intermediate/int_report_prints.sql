-- The prints of the report weeks, each with its lookback: from lookback_start_date to
-- the day before lookback_end_date.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

report_weeks as (
    select * from {{ ref('int_iso_weeks') }}
    where is_report_week
),

prints as (
    select * from {{ ref('int_prints_with_clicks') }}
),

anchored as (
    select
        prints.*,
        report_weeks.week_start_date,
        report_weeks.iso_week,
        run_window.lookback_weeks,
        case
            when run_window.lookback_anchor = 'print' then prints.print_date
            else report_weeks.week_start_date
        end as lookback_end_date
    from prints
    inner join report_weeks
        on
            prints.print_date
            between report_weeks.week_start_date and report_weeks.week_end_date
    cross join run_window
),

with_lookback as (
    select
        week_start_date,
        iso_week,
        print_date,
        user_id,
        value_prop,
        position,
        is_clicked,
        lookback_end_date - 7 * lookback_weeks as lookback_start_date,
        lookback_end_date
    from anchored
)

select * from with_lookback
