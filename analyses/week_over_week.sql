-- What changed from one complete week to the next? Prints, click-through rate, payments
-- and money of each value prop, beside those of the week before, where that is complete.
with

complete_weeks as (
    select * from {{ ref('fct_value_prop_weeks') }}
    where is_complete_week
),

both_weeks as (
    select
        complete_weeks.iso_week,
        complete_weeks.value_prop,
        complete_weeks.week_start_date,
        complete_weeks.prints,
        week_before.prints as prints_before,
        complete_weeks.click_through_rate,
        week_before.click_through_rate as click_through_rate_before,
        complete_weeks.payments,
        week_before.payments as payments_before,
        complete_weeks.amount,
        week_before.amount as amount_before
    from complete_weeks
    left join complete_weeks as week_before
        on
            complete_weeks.value_prop = week_before.value_prop
            and complete_weeks.week_start_date = week_before.week_start_date + 7
),

compared as (
    select
        both_weeks.*,
        cast(both_weeks.prints as double) / nullif(both_weeks.prints_before, 0) - 1
            as change_of_prints,
        both_weeks.click_through_rate - both_weeks.click_through_rate_before
            as change_of_click_through_rate,
        cast(both_weeks.amount as double)
        / nullif(cast(both_weeks.amount_before as double), 0) - 1 as change_of_amount
    from both_weeks
)

select * from compared
order by week_start_date, value_prop
