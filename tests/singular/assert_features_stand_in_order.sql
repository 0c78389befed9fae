-- As assert_prints_stand_in_order, for features.parquet: each row has a greater key than
-- the row before it, so no user and value prop has two rows.
with

neighbours as (
    select
        user_id,
        value_prop,
        lag(user_id) over () as user_id_before,
        lag(value_prop) over () as value_prop_before
    from {{ ref('fct_user_features') }}
),

out_of_order as (
    select * from neighbours
    where
        user_id < user_id_before
        or (user_id = user_id_before and value_prop <= value_prop_before)
)

select * from out_of_order
