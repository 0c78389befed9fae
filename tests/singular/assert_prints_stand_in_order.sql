-- The export writes the rows of the mart in their stored order, and the same rows must
-- give the same bytes. Each row has a greater key than the row before it. So no two rows
-- have the same key: neither a tap nor a lookback adds a row to a print. Only DuckDB
-- keeps an order.
{{ config(enabled=target.type == 'duckdb') }}

with

neighbours as (
    select
        print_date,
        user_id,
        position,
        value_prop,
        lag(print_date) over () as print_date_before,
        lag(user_id) over () as user_id_before,
        lag(position) over () as position_before,
        lag(value_prop) over () as value_prop_before
    from {{ ref('fct_prints') }}
),

out_of_order as (
    select * from neighbours
    where
        print_date < print_date_before
        or (
            print_date = print_date_before
            and (
                user_id < user_id_before
                or (
                    user_id = user_id_before
                    and (
                        position < position_before
                        or (
                            position = position_before
                            and value_prop <= value_prop_before
                        )
                    )
                )
            )
        )
)

select * from out_of_order
