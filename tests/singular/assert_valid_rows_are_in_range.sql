-- The rules of the quarantine say what is wrong, so a value that no rule thought of
-- would pass. This test says what is right: each field of a kept row is filled and in
-- its range. It checks the rows that the report and its lookbacks may read, so it takes
-- no longer as the history grows.
with

valid_rows as (
    select
        'prints' as source_name,
        file_number,
        event_date,
        user_id,
        value_prop,
        position,
        cast(null as decimal(18, 2)) as amount
    from {{ ref('base_prints') }}
    union all
    select
        'taps' as source_name,
        file_number,
        event_date,
        user_id,
        value_prop,
        position,
        cast(null as decimal(18, 2)) as amount
    from {{ ref('base_taps') }}
    union all
    select
        'pays' as source_name,
        file_number,
        event_date,
        user_id,
        value_prop,
        cast(null as integer) as position,
        amount
    from {{ ref('base_pays') }}
),

run_window as (
    select * from {{ ref('int_run_window') }}
),

out_of_range as (
    select valid_rows.*
    from valid_rows
    cross join run_window
    where
        valid_rows.event_date
        between run_window.first_lookback_date and run_window.as_of_date
        and not coalesce(
            valid_rows.event_date
            between date '2000-01-01' and run_window.run_date + 1
            and valid_rows.user_id >= 1
            and valid_rows.value_prop <> ''
            and case
                when valid_rows.source_name = 'pays'
                    then valid_rows.amount between 0 and 1000000000000
                else valid_rows.position >= 0
            end,
            false
        )
)

select * from out_of_range
