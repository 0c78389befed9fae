-- What each user of the report weeks did with each value prop in each lookback.
-- Lookbacks without activity have no row.
with

report_prints as (
    select * from {{ ref('int_report_prints') }}
),

prior_activity as (
    {{ prior_activity('report_prints', is_by_user=true) }}
)

select
    user_id,
    value_prop,
    lookback_end_date,
    prior_views,
    prior_clicks,
    prior_payments,
    prior_amount
from prior_activity
