-- Drift checks of presence: a new value prop, a day of the windows without rows, and a
-- source that ends before the others.
with

run_window as (
    select
        *,
        least(report_end_date, as_of_date) as last_day
    from intermediate.int_run_window
    where last_week_start_date is not null
),

known_weeks as (
    select
        profiles.value_prop,
        profiles.week_start_date,
        profiles.week_start_date >= run_window.first_week_start_date as is_report_week,
        profiles.run_id = $run_id as is_of_this_run
    from quality.week_profiles as profiles
    inner join quality.runs as runs
        on profiles.run_id = runs.run_id
    cross join run_window
    where
        (runs.run_id = $run_id or runs.status = 'published')
        and profiles.prints > 0
        and profiles.week_start_date >= run_window.first_week_start_date - 84
),

weeks_before as (
    select count(distinct week_start_date) as week_count
    from known_weeks
    where not is_report_week
),

value_props as (
    select
        known_weeks.value_prop,
        any_value(weeks_before.week_count) as weeks_before,
        bool_and(known_weeks.is_report_week and weeks_before.week_count > 0) as is_new
    from known_weeks
    cross join weeks_before
    group by known_weeks.value_prop
    having bool_or(known_weeks.is_report_week and known_weeks.is_of_this_run)
),

new_value_props as (
    select
        'new_value_prop' as check_name,
        value_prop as subject,
        'warn' as status,
        weeks_before as weeks_compared,
        format(
            'Value prop {} is shown, and was not in {} earlier weeks',
            value_prop,
            weeks_before
        ) as message
    from value_props
    where is_new
),

no_new_value_prop as (
    select
        'new_value_prop' as check_name,
        'prints' as subject,
        case when max(weeks_before) = 0 then 'unknown' else 'pass' end as status,
        max(weeks_before) as weeks_compared,
        case
            when max(weeks_before) = 0 then 'Value props shown: there is no earlier week'
            else 'Value props shown: none that was not shown before'
        end as message
    from value_props
    having not bool_or(is_new)
),

-- A source without rows has null days. greatest and least ignore nulls, so all days of
-- the windows count as missing.
sources as (
    select
        names.source_name,
        min(found.activity_date) as first_day,
        max(found.activity_date) as last_day,
        max(max(found.activity_date)) over () as last_day_of_all
    from (values ('prints'), ('taps'), ('pays')) as names (source_name)
    left join intermediate.int_source_days as found
        on names.source_name = found.source_name
    group by names.source_name
),

calendar as (
    select
        sources.source_name,
        unnest(range(
            cast(
                greatest(run_window.first_lookback_date, sources.first_day) as timestamp
            ),
            cast(least(run_window.last_day, sources.last_day) + 1 as timestamp),
            interval 1 day
        )) as moment
    from sources
    cross join run_window
),

missing as (
    select
        calendar.source_name,
        list(cast(cast(calendar.moment as date) as varchar) order by calendar.moment)
            as days
    from calendar
    anti join intermediate.int_source_days as found
        on
            calendar.source_name = found.source_name
            and cast(calendar.moment as date) = found.activity_date
    group by calendar.source_name
),

missing_days as (
    select
        'missing_day' as check_name,
        sources.source_name as subject,
        case when missing.days is null then 'pass' else 'warn' end as status,
        len(coalesce(missing.days, [])) as value,
        0 as weeks_compared,
        'Days of the windows: ' || sources.source_name || case
            when sources.last_day is null then ' have no row at all'
            when missing.days is null then ' have rows on each'
            else format(
                ' have no row on {}{}',
                array_to_string(missing.days[:5], ', '),
                case
                    when len(missing.days) > 5
                        then format(' and {} more days', len(missing.days) - 5)
                    else ''
                end
            )
        end as message
    from sources
    cross join run_window
    left join missing
        on sources.source_name = missing.source_name
),

early_ends as (
    select
        'source_ends_early' as check_name,
        source_name as subject,
        case when last_day = last_day_of_all then 'pass' else 'warn' end as status,
        last_day_of_all - last_day as value,
        0 as weeks_compared,
        case
            when last_day is null then format('Ends: {} have no row at all', source_name)
            when last_day < last_day_of_all
                then format(
                    'Ends: the last row of {} is of {}, that of another source of {}',
                    source_name,
                    cast(last_day as varchar),
                    cast(last_day_of_all as varchar)
                )
            else format('Ends: {} end on {}, and no source later', source_name, last_day)
        end as message
    from sources
),

checks as (
    select * from new_value_props
    union all by name
    select * from no_new_value_prop
    union all by name
    select * from missing_days
    union all by name
    select * from early_ends
)

select
    $run_id as run_id,
    checks.*
from checks
order by checks.check_name, checks.subject
