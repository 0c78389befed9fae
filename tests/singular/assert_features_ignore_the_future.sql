-- A feature that knows the print's own day or later lets the model see what it should
-- predict. Here everything from the end of the lookback on is removed first, and what is
-- left of the lookback is summed again, in another shape than int_prior_activity.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

claimed as (
    select distinct
        fct_prints.user_id,
        fct_prints.value_prop,
        case
            when run_window.lookback_anchor = 'print' then fct_prints.print_date
            else cast(date_trunc('week', fct_prints.print_date) as date)
        end as first_unseen_date,
        run_window.lookback_weeks,
        fct_prints.prior_views,
        fct_prints.prior_clicks,
        fct_prints.prior_payments,
        fct_prints.prior_amount
    from {{ ref('fct_prints') }} as fct_prints
    cross join run_window
),

past as (
    select
        print_date as activity_date,
        user_id,
        value_prop,
        'print' as kind,
        0 as amount
    from {{ ref('stg_prints') }}
    union all
    select
        tap_date as activity_date,
        user_id,
        value_prop,
        'tap' as kind,
        0 as amount
    from {{ ref('stg_taps') }}
    union all
    select
        payment_date as activity_date,
        user_id,
        value_prop,
        'payment' as kind,
        amount
    from {{ ref('stg_pays') }}
),

recomputed as (
    select
        claimed.user_id,
        claimed.value_prop,
        claimed.first_unseen_date,
        count(*) filter (where past.kind = 'print') as views,
        count(*) filter (where past.kind = 'tap') as clicks,
        count(*) filter (where past.kind = 'payment') as payments,
        sum(past.amount) as amount
    from past
    inner join claimed
        on
            past.user_id = claimed.user_id
            and past.value_prop = claimed.value_prop
            and {{ days_between('past.activity_date', 'claimed.first_unseen_date') }}
            between 1 and 7 * claimed.lookback_weeks
    group by all
)

select
    claimed.*,
    recomputed.views,
    recomputed.clicks,
    recomputed.payments,
    recomputed.amount
from claimed
left join recomputed
    on
        claimed.user_id = recomputed.user_id
        and claimed.value_prop = recomputed.value_prop
        and claimed.first_unseen_date = recomputed.first_unseen_date
where
    claimed.prior_views <> coalesce(recomputed.views, 0)
    or claimed.prior_clicks <> coalesce(recomputed.clicks, 0)
    or claimed.prior_payments <> coalesce(recomputed.payments, 0)
    or claimed.prior_amount <> coalesce(recomputed.amount, 0)
