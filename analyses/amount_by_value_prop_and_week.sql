-- Where does the money move? Payments and their total by value prop and ISO week, the
-- mean payment, and the share of the week's money. Incomplete weeks are marked.
with

weeks as (
    select * from {{ ref('fct_value_prop_weeks') }}
),

value_props as (
    select * from {{ ref('dim_value_props') }}
),

shared as (
    select
        weeks.iso_week,
        weeks.week_start_date,
        weeks.is_complete_week,
        weeks.value_prop,
        value_props.label,
        weeks.payments,
        weeks.amount,
        cast(weeks.amount as double) / nullif(weeks.payments, 0) as mean_payment,
        cast(weeks.amount as double)
        / nullif(
            cast(sum(weeks.amount) over (partition by weeks.week_start_date) as double), 0
        ) as share_of_amount
    from weeks
    inner join value_props
        on weeks.value_prop = value_props.value_prop
)

select * from shared
order by week_start_date asc, amount desc, value_prop asc
