-- Prints and taps that an earlier file already contains. Within a file each event is
-- valid only once. Across files, only files that share a day can share an event.
with

events as (
    select
        'prints' as source_name,
        prints.*
    from {{ ref('base_prints') }} as prints
    union all
    select
        'taps' as source_name,
        taps.*
    from {{ ref('base_taps') }} as taps
),

days_of_files as (
    select distinct
        source_name,
        file_number,
        event_date
    from {{ raw_rows('row_counts') }}
    where
        source_name <> 'pays'
        and quarantine_reason is null
        and event_date <= {{ latest_day() }}
),

shared_days as (
    select
        source_name,
        event_date
    from days_of_files
    group by source_name, event_date
    having count(*) > 1
),

events_of_shared_days as (
    select events.*
    from events
    inner join shared_days
        on
            events.source_name = shared_days.source_name
            and events.event_date = shared_days.event_date
),

repeated_events as (
    select
        source_name,
        event_date,
        user_id,
        value_prop,
        position,
        min(file_number) as first_file_number
    from events_of_shared_days
    group by source_name, event_date, user_id, value_prop, position
    having count(*) > 1
),

redeliveries as (
    select
        events_of_shared_days.source_name,
        events_of_shared_days.file_number,
        events_of_shared_days.line_number,
        events_of_shared_days.event_date,
        events_of_shared_days.user_id,
        events_of_shared_days.value_prop,
        events_of_shared_days.position
    from events_of_shared_days
    inner join repeated_events
        on
            events_of_shared_days.source_name = repeated_events.source_name
            and events_of_shared_days.event_date = repeated_events.event_date
            and events_of_shared_days.user_id = repeated_events.user_id
            and events_of_shared_days.value_prop = repeated_events.value_prop
            and events_of_shared_days.position = repeated_events.position
    where events_of_shared_days.file_number > repeated_events.first_file_number
)

select * from redeliveries
