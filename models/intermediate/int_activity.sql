-- What users did: one row per print, tap or payment. Rows after the cut-off stay in,
-- because a lookback ends before its print, and so before the cut-off.
with

views as (
    select
        print_date as activity_date,
        user_id,
        value_prop,
        true as is_view,
        false as is_click,
        false as is_payment,
        cast(0 as decimal(18, 2)) as amount
    from {{ ref('stg_prints') }}
),

clicks as (
    select
        tap_date as activity_date,
        user_id,
        value_prop,
        false as is_view,
        true as is_click,
        false as is_payment,
        cast(0 as decimal(18, 2)) as amount
    from {{ ref('stg_taps') }}
),

payments as (
    select
        payment_date as activity_date,
        user_id,
        value_prop,
        false as is_view,
        false as is_click,
        true as is_payment,
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
