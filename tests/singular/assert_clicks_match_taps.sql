-- is_clicked is the label that the ranking model learns. The set of clicked prints must
-- equal the set of prints that are also taps. A wrong join key shows in one of the two
-- differences.
with

prints as (
    select
        print_date,
        user_id,
        value_prop,
        position
    from {{ ref('fct_prints') }}
    where {{ is_in_sample('user_id') }}
),

clicked as (
    select
        print_date,
        user_id,
        value_prop,
        position
    from {{ ref('fct_prints') }}
    where is_clicked and {{ is_in_sample('user_id') }}
),

tapped as (
    select
        tap_date as print_date,
        user_id,
        value_prop,
        position
    from {{ ref('stg_taps') }}
    where {{ is_in_sample('user_id') }}
    intersect
    select * from prints
),

clicked_without_tap as (
    select * from clicked
    except
    select * from tapped
),

tapped_without_click as (
    select * from tapped
    except
    select * from clicked
),

differences as (
    select
        'clicked without a tap' as difference,
        clicked_without_tap.*
    from clicked_without_tap
    union all
    select
        'tapped but not clicked' as difference,
        tapped_without_click.*
    from tapped_without_click
)

select * from differences
