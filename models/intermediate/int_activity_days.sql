-- Prints, taps and payments a day and value prop, whatever the cut-off.
with

activity as (
    select * from {{ ref('int_activity') }}
),

summed as (
    select
        activity_date,
        value_prop,
        cast(sum(view_count) as bigint) as prints,
        cast(sum(click_count) as bigint) as taps,
        cast(sum(payment_count) as bigint) as payments,
        cast(sum(amount) as decimal(18, 2)) as amount
    from activity
    group by all
)

select * from summed
