-- Where the mart differs from the features that an earlier run published for its prints,
-- by value prop. On the same rows they are equal. So a difference means that rows from
-- before feature_date came, or went, after the features were published.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

published as (
    select features.*
    from {{ published_features() }} as features
    inner join run_window
        on
            features.lookback_anchor = run_window.lookback_anchor
            and features.lookback_weeks = run_window.lookback_weeks
),

-- A user without a row has zeros, so the dates alone say what was published.
published_dates as (
    select distinct
        feature_date,
        run_id
    from published
),

prints as (
    select
        fct_prints.*,
        case
            when run_window.lookback_anchor = 'print' then fct_prints.print_date
            else fct_prints.week_start_date
        end as feature_date
    from {{ ref('fct_prints') }} as fct_prints
    cross join run_window
),

compared as (
    select
        prints.feature_date,
        published_dates.run_id,
        prints.value_prop,
        prints.prior_views - coalesce(published.prior_views, 0) as views,
        prints.prior_clicks - coalesce(published.prior_clicks, 0) as clicks,
        prints.prior_payments - coalesce(published.prior_payments, 0) as payments,
        prints.prior_amount - coalesce(published.prior_amount, 0) as amount
    from prints
    inner join published_dates
        on prints.feature_date = published_dates.feature_date
    left join published
        on
            prints.feature_date = published.feature_date
            and prints.user_id = published.user_id
            and prints.value_prop = published.value_prop
),

counted as (
    select
        feature_date,
        run_id,
        value_prop,
        count(*) as prints,
        count(*) filter (
            where views <> 0 or clicks <> 0 or payments <> 0 or amount <> 0
        ) as skewed_prints,
        sum(views) as missed_views,
        sum(clicks) as missed_clicks,
        sum(payments) as missed_payments,
        sum(amount) as missed_amount
    from compared
    group by feature_date, run_id, value_prop
)

select
    feature_date,
    cast(run_id as string) as run_id,
    value_prop,
    cast(prints as bigint) as prints,
    cast(skewed_prints as bigint) as skewed_prints,
    cast(missed_views as bigint) as missed_views,
    cast(missed_clicks as bigint) as missed_clicks,
    cast(missed_payments as bigint) as missed_payments,
    cast(missed_amount as decimal(38, 2)) as missed_amount
from counted
