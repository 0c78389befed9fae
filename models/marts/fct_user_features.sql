-- The features of every user with every value prop as of feature_date, for the model to
-- rank with: what fct_prints will hold for the prints of the next week.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

activity_days as (
    select * from {{ ref('int_activity_days') }}
),

-- One lookback for all users.
lookbacks as (
    select distinct
        activity_days.value_prop,
        run_window.feature_lookback_date as lookback_start_date,
        run_window.feature_date as lookback_end_date
    from activity_days
    inner join run_window
        on
            activity_days.activity_date >= run_window.feature_lookback_date
            and activity_days.activity_date < run_window.feature_date
),

prior_activity as (
    {{ prior_activity('lookbacks', is_by_user=false) }}
),

-- The export keeps the order of this table, so the rows are sorted here, by user_id and
-- value_prop.
ordered as (
    select
        lookback_end_date as feature_date,
        user_id,
        value_prop,
        prior_views,
        prior_clicks,
        prior_payments,
        prior_amount
    from prior_activity
    order by user_id, value_prop_number
)

select * from ordered
