-- What each user of the report weeks did with each value prop in each lookback; only
-- lookbacks with any activity.
with

lookbacks as (
    select
        user_id,
        value_prop,
        lookback_start_date,
        lookback_end_date
    from {{ ref('int_report_prints') }}
    group by user_id, value_prop, lookback_start_date, lookback_end_date
),

-- The days that any lookback reads: of a file without one of them no row is read.
span as (
    select
        min(lookback_start_date) as first_date,
        max(lookback_end_date) as end_date
    from lookbacks
),

activity as (
    select int_activity.*
    from {{ ref('int_activity') }} as int_activity
    inner join span
        on
            int_activity.activity_date >= span.first_date
            and int_activity.activity_date < span.end_date
),

summed as (
    select
        lookbacks.user_id,
        lookbacks.value_prop,
        lookbacks.lookback_end_date,
        cast(sum(activity.view_count) as bigint) as prior_views,
        cast(sum(activity.click_count) as bigint) as prior_clicks,
        cast(sum(activity.payment_count) as bigint) as prior_payments,
        cast(sum(activity.amount) as decimal(38, 2)) as prior_amount
    from activity
    inner join lookbacks
        on
            activity.user_id = lookbacks.user_id
            and activity.value_prop = lookbacks.value_prop
            and activity.activity_date >= lookbacks.lookback_start_date
            and activity.activity_date < lookbacks.lookback_end_date
    group by lookbacks.user_id, lookbacks.value_prop, lookbacks.lookback_end_date
)

select
    user_id,
    value_prop,
    lookback_end_date,
    prior_views,
    prior_clicks,
    prior_payments,
    cast(prior_amount as decimal(18, 2)) as prior_amount
from summed
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
