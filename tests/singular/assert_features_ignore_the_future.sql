-- A feature that counted the print's own day, or a later one, would leak the label. So
-- this test computes the features again, without int_prior_activity: for each lookback
-- of the mart it removes every source row that is not 1 to 7 * lookback_weeks days older
-- than the end of the lookback, and sums the rest.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

lookbacks as (
    select distinct
        fct_prints.user_id,
        fct_prints.value_prop,
        case
            when run_window.lookback_anchor = 'print' then fct_prints.print_date
            else cast(date_trunc('week', fct_prints.print_date) as date)
        end as lookback_end_date,
        7 * run_window.lookback_weeks as days_in_lookback,
        fct_prints.prior_views,
        fct_prints.prior_clicks,
        fct_prints.prior_payments,
        fct_prints.prior_amount
    from {{ ref('fct_prints') }} as fct_prints
    cross join run_window
    where {{ is_in_sample('fct_prints.user_id') }}
),

-- The days that some lookback reads. No lookback reads an older or newer day.
span as (
    select
        min(lookback_end_date) - max(days_in_lookback) as first_date,
        max(lookback_end_date) as end_date
    from lookbacks
),

all_rows as (
    select
        'prints' as source_name,
        print_date as row_date,
        user_id,
        value_prop,
        cast(0 as decimal(18, 2)) as amount
    from {{ ref('stg_prints') }}
    where {{ is_in_sample('user_id') }}
    union all
    select
        'taps' as source_name,
        tap_date as row_date,
        user_id,
        value_prop,
        cast(0 as decimal(18, 2)) as amount
    from {{ ref('stg_taps') }}
    where {{ is_in_sample('user_id') }}
    union all
    select
        'pays' as source_name,
        payment_date as row_date,
        user_id,
        value_prop,
        amount
    from {{ ref('stg_pays') }}
    where {{ is_in_sample('user_id') }}
),

source_rows as (
    select all_rows.*
    from all_rows
    inner join span
        on all_rows.row_date >= span.first_date and all_rows.row_date < span.end_date
),

without_the_future as (
    select
        lookbacks.user_id,
        lookbacks.value_prop,
        lookbacks.lookback_end_date,
        lookbacks.prior_views,
        lookbacks.prior_clicks,
        lookbacks.prior_payments,
        lookbacks.prior_amount,
        count(*) filter (where source_rows.source_name = 'prints') as expected_views,
        count(*) filter (where source_rows.source_name = 'taps') as expected_clicks,
        count(*) filter (where source_rows.source_name = 'pays') as expected_payments,
        coalesce(sum(source_rows.amount), 0) as expected_amount
    from lookbacks
    left join source_rows
        on
            lookbacks.user_id = source_rows.user_id
            and lookbacks.value_prop = source_rows.value_prop
            and {{ days_between('source_rows.row_date', 'lookbacks.lookback_end_date') }}
            between 1 and lookbacks.days_in_lookback
    group by
        lookbacks.user_id,
        lookbacks.value_prop,
        lookbacks.lookback_end_date,
        lookbacks.prior_views,
        lookbacks.prior_clicks,
        lookbacks.prior_payments,
        lookbacks.prior_amount
),

differences as (
    select * from without_the_future
    where
        prior_views <> expected_views
        or prior_clicks <> expected_clicks
        or prior_payments <> expected_payments
        or prior_amount <> expected_amount
)

select * from differences
