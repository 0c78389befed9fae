-- The lookback of fct_user_features, if a source does not cover all its days.
with

source_days as (
    select
        source_name,
        min(activity_date) as first_date,
        max(activity_date) as last_date
    from intermediate.int_source_days
    group by source_name
),

feature_days as (
    select
        source_days.source_name,
        run_window.feature_date,
        7 * run_window.lookback_weeks as days_in_lookback,
        greatest(
            date_diff(
                'day',
                greatest(run_window.feature_lookback_date, source_days.first_date),
                least(run_window.feature_date, source_days.last_date + 1)
            ),
            0
        ) as days_covered
    from source_days
    cross join intermediate.int_run_window as run_window
    where run_window.serving_features
)

select
    feature_date,
    days_in_lookback,
    string_agg(source_name || ' ' || days_covered, ', ' order by source_name) as days
from feature_days
where days_covered < days_in_lookback
group by feature_date, days_in_lookback
