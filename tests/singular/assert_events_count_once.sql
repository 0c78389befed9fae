-- A print or tap has no id; its day, user, value prop and position are its key. One that
-- was delivered twice and counted twice would change each feature of that user. Asked are
-- the days that the report and its lookbacks read.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

events as (
    select
        'prints' as source_name,
        print_date as event_date,
        user_id,
        value_prop,
        position
    from {{ ref('stg_prints') }}
    union all
    select
        'taps' as source_name,
        tap_date as event_date,
        user_id,
        value_prop,
        position
    from {{ ref('stg_taps') }}
),

repeated as (
    select
        events.source_name,
        events.event_date,
        events.user_id,
        events.value_prop,
        events.position,
        count(*) as row_count
    from events
    inner join run_window
        on
            events.event_date
            between run_window.first_lookback_date and run_window.as_of_date
    group by
        events.source_name,
        events.event_date,
        events.user_id,
        events.value_prop,
        events.position
    having count(*) > 1
)

select * from repeated
