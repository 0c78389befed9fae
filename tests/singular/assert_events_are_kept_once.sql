-- A print or tap has no id; its day, user, value prop and position are its key. If it
-- was delivered twice and counted twice, each feature of its user would be wrong. If all
-- its deliveries were set aside as duplicates, it would be lost. The test checks the
-- days that the report and its lookbacks read.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

deliveries as (
    select
        'prints' as source_name,
        event_date,
        user_id,
        value_prop,
        position,
        0 as times_kept
    from {{ ref('base_prints') }}
    where {{ is_in_sample('user_id') }}
    union all
    select
        'taps' as source_name,
        event_date,
        user_id,
        value_prop,
        position,
        0 as times_kept
    from {{ ref('base_taps') }}
    where {{ is_in_sample('user_id') }}
    union all
    select
        'prints' as source_name,
        print_date as event_date,
        user_id,
        value_prop,
        position,
        1 as times_kept
    from {{ ref('stg_prints') }}
    where {{ is_in_sample('user_id') }}
    union all
    select
        'taps' as source_name,
        tap_date as event_date,
        user_id,
        value_prop,
        position,
        1 as times_kept
    from {{ ref('stg_taps') }}
    where {{ is_in_sample('user_id') }}
),

kept as (
    select
        deliveries.source_name,
        deliveries.event_date,
        deliveries.user_id,
        deliveries.value_prop,
        deliveries.position,
        sum(deliveries.times_kept) as times_kept
    from deliveries
    inner join run_window
        on
            deliveries.event_date
            between run_window.first_lookback_date and run_window.as_of_date
    group by
        deliveries.source_name,
        deliveries.event_date,
        deliveries.user_id,
        deliveries.value_prop,
        deliveries.position
)

select * from kept
where times_kept <> 1
