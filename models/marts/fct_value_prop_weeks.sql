-- What happened with each value prop in each week, up to the cut-off. Taps and prints
-- have the same key, so each tap clicks at most one print. A tap without a print is an
-- orphan.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

weeks as (
    select * from {{ ref('int_iso_weeks') }}
),

activity_days as (
    select * from {{ ref('int_activity_days') }}
),

clicked as (
    select
        week_start_date,
        value_prop,
        sum(clicked_prints) as clicked_prints
    from {{ ref('int_print_weeks') }}
    group by week_start_date, value_prop
),

complete_weeks as (
    select
        weeks.week_start_date,
        count(distinct activity_days.activity_date) = 7 as has_prints_every_day
    from weeks
    inner join activity_days
        on
            activity_days.activity_date
            between weeks.week_start_date and weeks.week_end_date
            and activity_days.prints > 0
    group by weeks.week_start_date
),

activity_weeks as (
    select
        weeks.week_start_date,
        weeks.iso_week,
        weeks.is_over,
        activity_days.value_prop,
        sum(activity_days.prints) as prints,
        sum(activity_days.taps) as taps,
        sum(activity_days.payments) as payments,
        sum(activity_days.amount) as amount
    from activity_days
    inner join run_window
        on activity_days.activity_date <= run_window.as_of_date
    inner join weeks
        on
            activity_days.activity_date
            between weeks.week_start_date and weeks.week_end_date
    group by
        weeks.week_start_date,
        weeks.iso_week,
        weeks.is_over,
        activity_days.value_prop
),

joined as (
    select
        activity_weeks.*,
        coalesce(clicked.clicked_prints, 0) as clicked_prints,
        activity_weeks.is_over and coalesce(complete_weeks.has_prints_every_day, false)
            as is_complete_week
    from activity_weeks
    left join clicked
        on
            activity_weeks.week_start_date = clicked.week_start_date
            and activity_weeks.value_prop = clicked.value_prop
    left join complete_weeks
        on activity_weeks.week_start_date = complete_weeks.week_start_date
)

select
    week_start_date,
    iso_week,
    value_prop,
    cast(prints as bigint) as prints,
    cast(clicked_prints as bigint) as clicked_prints,
    case when prints > 0 then cast(clicked_prints as double) / cast(prints as double) end
        as click_through_rate,
    cast(taps as bigint) as taps,
    cast(taps - clicked_prints as bigint) as orphan_taps,
    cast(payments as bigint) as payments,
    cast(amount as decimal(38, 2)) as amount,
    is_complete_week
from joined
