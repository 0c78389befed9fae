-- The days up to the cut-off on which a source has valid rows, and their number.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

activity_days as (
    select
        int_activity_days.activity_date,
        sum(int_activity_days.prints) as prints,
        sum(int_activity_days.taps) as taps,
        sum(int_activity_days.payments) as payments
    from {{ ref('int_activity_days') }} as int_activity_days
    inner join run_window
        on int_activity_days.activity_date <= run_window.as_of_date
    group by int_activity_days.activity_date
),

by_source as (
    select
        'prints' as source_name,
        activity_date,
        prints as row_count
    from activity_days
    union all
    select
        'taps' as source_name,
        activity_date,
        taps as row_count
    from activity_days
    union all
    select
        'pays' as source_name,
        activity_date,
        payments as row_count
    from activity_days
)

select
    source_name,
    activity_date,
    cast(row_count as bigint) as row_count
from by_source
where row_count > 0
