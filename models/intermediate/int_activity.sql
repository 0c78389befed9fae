-- What users did: one row per print, tap or payment. Rows after the cut-off stay in,
-- because a lookback ends before its print, and so before the cut-off.
with

views as (
    select
        print_date as activity_date,
        user_id,
        value_prop,
        1 as view_count,
        0 as click_count,
        0 as payment_count,
        cast(0 as decimal(18, 2)) as amount
    from {{ ref('stg_prints') }}
),

clicks as (
    select
        tap_date as activity_date,
        user_id,
        value_prop,
        0 as view_count,
        1 as click_count,
        0 as payment_count,
        cast(0 as decimal(18, 2)) as amount
    from {{ ref('stg_taps') }}
),

payments as (
    select
        payment_date as activity_date,
        user_id,
        value_prop,
        0 as view_count,
        0 as click_count,
        1 as payment_count,
        amount
    from {{ ref('stg_pays') }}
),

all_activity as (
    select * from views
    union all
    select * from clicks
    union all
    select * from payments
)

select * from all_activity
