-- Freshness: the latest print is on the last day that the report can hold, which is its
-- Sunday or the cut-off. It is a warning, because under the week rule `latest` a user
-- may give a cut-off that is ahead of the data. Under `complete`, another test fails for
-- a day without prints.
{{ config(severity='warn') }}

with

run_window as (
    select * from {{ ref('int_run_window') }}
),

last_print as (
    select max(activity_date) as last_print_date from {{ ref('int_source_days') }}
    where source_name = 'prints'
),

behind as (
    select
        run_window.week_rule,
        run_window.as_of_date,
        run_window.last_report_day,
        last_print.last_print_date
    from run_window
    cross join last_print
    where
        not coalesce(last_print.last_print_date >= run_window.last_report_day, false)
)

select * from behind
