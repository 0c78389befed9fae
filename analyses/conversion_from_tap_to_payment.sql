-- Of the users who tapped a value prop in the lookback, how many also paid with it there,
-- and how many of those who saw it and did not tap? One row per value prop; a user counts
-- once per value prop and report week. Only users who were shown the value prop in a
-- report week are in the mart, so the shares are theirs.
with

users as (
    select
        value_prop,
        user_id,
        week_start_date,
        max(prior_views) as prior_views,
        max(prior_clicks) as prior_clicks,
        max(prior_payments) as prior_payments
    from {{ ref('fct_prints') }}
    group by value_prop, user_id, week_start_date
),

counted as (
    select
        value_prop,
        count(*) filter (where prior_clicks > 0) as users_who_tapped,
        count(*) filter (where prior_clicks > 0 and prior_payments > 0)
            as users_who_tapped_and_paid,
        count(*) filter (where prior_clicks = 0 and prior_views > 0)
            as users_who_only_saw,
        count(*) filter (
            where prior_clicks = 0 and prior_views > 0 and prior_payments > 0
        ) as users_who_only_saw_and_paid
    from users
    group by value_prop
),

rated as (
    select
        counted.*,
        cast(counted.users_who_tapped_and_paid as double)
        / nullif(counted.users_who_tapped, 0) as conversion_after_tap,
        cast(counted.users_who_only_saw_and_paid as double)
        / nullif(counted.users_who_only_saw, 0) as conversion_without_tap
    from counted
)

select * from rated
order by conversion_after_tap desc nulls last, value_prop asc
