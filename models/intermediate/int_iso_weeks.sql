-- The calendar: every ISO week up to the week of the cut-off. It starts with the first
-- lookback or the first row, whichever is earlier.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

first_day as (
    select min(activity_date) as first_date from {{ ref('int_activity_days') }}
),

-- The weeks are counted back from the cut-off. 4,096 weeks are 78 years.
weeks_back as (
    {{ dbt_utils.generate_series(upper_bound=4096) }}
),

weeks as (
    select
        cast(
            cast(date_trunc('week', run_window.as_of_date) as date)
            - 7 * cast(weeks_back.generated_number - 1 as integer) as date
        ) as week_start_date,
        run_window.*
    from run_window
    cross join weeks_back
),

labelled as (
    select
        weeks.week_start_date,
        weeks.week_start_date + 6 as week_end_date,
        {{ iso_week_label('weeks.week_start_date') }} as iso_week,
        weeks.week_start_date
        between weeks.first_week_start_date and weeks.last_week_start_date
            as is_report_week,
        weeks.week_start_date - 7 * weeks.lookback_weeks as lookback_start_date,
        weeks.week_start_date + 6 <= weeks.as_of_date as is_over
    from weeks
    cross join first_day
    where
        weeks.week_start_date + 6
        >= least(weeks.first_lookback_date, first_day.first_date)
)

select * from labelled
