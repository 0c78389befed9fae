-- Numbers of prints, taps and payments per day and value prop, also after the cut-off.
with

valid_counts as (
    select * from {{ ref('stg_row_counts') }}
    where quarantine_reason is null
),

summed as (
    select
        event_date as activity_date,
        value_prop,
        sum(case when source_name = 'prints' then row_count else 0 end) as prints,
        sum(case when source_name = 'taps' then row_count else 0 end) as taps,
        sum(case when source_name = 'pays' then row_count else 0 end) as payments,
        sum(amount) as amount
    from valid_counts
    group by event_date, value_prop
)

select
    activity_date,
    value_prop,
    cast(prints as bigint) as prints,
    cast(taps as bigint) as taps,
    cast(payments as bigint) as payments,
    cast(amount as decimal(38, 2)) as amount
from summed
