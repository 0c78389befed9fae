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

days as (
    select distinct
        source_name,
        event_date
    from duplicates
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

-- There are few duplicates, so these are looked for among the kept rows.
with_original as (
    select
        duplicates.source_name,
        duplicates.file_number,
        duplicates.line_number
    from kept
    inner join days
        on kept.source_name = days.source_name and kept.event_date = days.event_date
    inner join duplicates
        on
            kept.source_name = duplicates.source_name
            and kept.event_date = duplicates.event_date
            and kept.user_id = duplicates.user_id
            and kept.value_prop = duplicates.value_prop
            and kept.position = duplicates.position
),

without_original as (
    select duplicates.*
    from duplicates
    left join with_original
        on
            duplicates.source_name = with_original.source_name
            and duplicates.file_number = with_original.file_number
            and duplicates.line_number = with_original.line_number
    where with_original.source_name is null
)

select * from without_original
