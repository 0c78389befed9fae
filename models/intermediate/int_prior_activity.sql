-- What each user of the report weeks did with each value prop in each lookback.
-- Lookbacks without activity have no row.
with

report_prints as (
    select * from {{ ref('int_report_prints') }}
),

-- The days from the first to the last lookback. The engine skips files outside them.
span as (
    select
        min(lookback_start_date) as first_date,
        max(lookback_end_date) as end_date
    from report_prints
),

-- Grouping by a number takes half as long as grouping by a text.
numbered_value_props as (
    select
        report_prints.value_prop,
        cast(row_number() over (order by report_prints.value_prop) as integer)
            as value_prop_number
    from report_prints
    group by report_prints.value_prop
),

value_props as (
    select
        numbered_value_props.*,
        span.first_date,
        span.end_date
    from numbered_value_props
    cross join span
),

lookbacks as (
    select
        report_prints.user_id,
        value_props.value_prop_number,
        report_prints.lookback_start_date,
        report_prints.lookback_end_date
    from report_prints
    inner join value_props
        on report_prints.value_prop = value_props.value_prop
    group by
        report_prints.user_id,
        value_props.value_prop_number,
        report_prints.lookback_start_date,
        report_prints.lookback_end_date
),

activity as (
    select
        int_activity.*,
        value_props.value_prop_number
    from {{ ref('int_activity') }} as int_activity
    inner join value_props
        on
            int_activity.value_prop = value_props.value_prop
            and int_activity.activity_date >= value_props.first_date
            and int_activity.activity_date < value_props.end_date
),

summed as (
    select
        lookbacks.user_id,
        lookbacks.value_prop_number,
        lookbacks.lookback_end_date,
        cast(sum(activity.view_count) as bigint) as prior_views,
        cast(sum(activity.click_count) as bigint) as prior_clicks,
        cast(sum(activity.payment_count) as bigint) as prior_payments,
        cast(sum(activity.amount) as decimal(38, 2)) as prior_amount
    from activity
    inner join lookbacks
        on
            activity.user_id = lookbacks.user_id
            and activity.value_prop_number = lookbacks.value_prop_number
            and activity.activity_date >= lookbacks.lookback_start_date
            and activity.activity_date < lookbacks.lookback_end_date
    group by
        lookbacks.user_id,
        lookbacks.value_prop_number,
        lookbacks.lookback_end_date
),

named as (
    select
        summed.*,
        value_props.value_prop
    from summed
    inner join value_props
        on summed.value_prop_number = value_props.value_prop_number
)

select
    user_id,
    value_prop,
    lookback_end_date,
    prior_views,
    prior_clicks,
    prior_payments,
    cast(prior_amount as decimal(18, 2)) as prior_amount
from named
where
    case
        when prior_amount < 10000000000000000 then true
        else cast({{ fail_with(
            "'The payments of user ' || cast(user_id as string) || ' with value prop '"
            ~ " || value_prop || ' before ' || cast(lookback_end_date as string)"
            ~ " || ' come to ' || cast(prior_amount as string)"
            ~ " || ', and prior_amount holds less than 10^16."
            ~ " Have these payments corrected, or look back over fewer weeks'"
        ) }} as boolean)
    end
