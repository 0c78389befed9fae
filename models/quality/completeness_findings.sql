-- What is missing in the report weeks: one row per finding. A run with an error is not
-- published. allow_incomplete turns findings about days and early ends into warnings.
with

run_window as (
    select
        int_run_window.*,
        case when int_run_window.allow_incomplete then 'warn' else 'error' end
            as incomplete_severity
    from {{ ref('int_run_window') }} as int_run_window
),

report_days as (
    select * from {{ ref('int_report_days') }}
),

last_days as (
    select
        sources.source_name,
        max(source_days.activity_date) as last_date
    from (select distinct source_name from {{ ref('raw_files') }}) as sources
    left join {{ ref('int_source_days') }} as source_days
        on sources.source_name = source_days.source_name
    group by sources.source_name
),

no_prints_at_all as (
    select
        'report_week_without_prints' as rule,
        'error' as severity,
        'prints' as source_name,
        cast(null as date) as missing_date
    from run_window
    where as_of_date is null
),

weeks_without_prints as (
    select
        'report_week_without_prints' as rule,
        'error' as severity,
        'prints' as source_name,
        week_start_date as missing_date
    from report_days
    group by week_start_date
    having sum(prints) = 0
),

days_without_prints as (
    select
        'report_day_without_prints' as rule,
        run_window.incomplete_severity as severity,
        'prints' as source_name,
        report_days.report_date as missing_date
    from report_days
    cross join run_window
    where run_window.week_rule = 'complete' and report_days.prints = 0
),

early_ends as (
    select
        'source_ends_early' as rule,
        run_window.incomplete_severity as severity,
        last_days.source_name,
        coalesce(last_days.last_date + 1, run_window.first_week_start_date)
            as missing_date
    from last_days
    cross join run_window
    where
        last_days.source_name <> 'prints'
        and (
            last_days.last_date is null
            or last_days.last_date < run_window.last_report_day
        )
),

findings as (
    select * from no_prints_at_all
    union all
    select * from weeks_without_prints
    union all
    select * from days_without_prints
    union all
    select * from early_ends
)

select * from findings
