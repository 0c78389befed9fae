-- A redelivered row may only be set aside if the row that it repeats was kept; else the
-- event is gone altogether.
with

duplicates as (
    select
        'prints' as source_name,
        file_number,
        line_number,
        event_date,
        user_id,
        value_prop,
        position
    from {{ ref('base_prints') }}
    where quarantine_reason = 'duplicate'
    union all
    select
        'taps' as source_name,
        file_number,
        line_number,
        event_date,
        user_id,
        value_prop,
        position
    from {{ ref('base_taps') }}
    where quarantine_reason = 'duplicate'
),

kept as (
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

without_original as (
    select duplicates.*
    from duplicates
    left join kept
        on
            duplicates.source_name = kept.source_name
            and duplicates.event_date = kept.event_date
            and duplicates.user_id = kept.user_id
            and duplicates.value_prop = kept.value_prop
            and duplicates.position = kept.position
    where kept.user_id is null
)

select * from without_original
