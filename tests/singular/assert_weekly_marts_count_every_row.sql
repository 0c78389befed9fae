-- The weekly marts cover the whole data, so every valid row up to the cut-off is in one
-- of their weeks. A calendar that begins too late would lose the first ones.
with

valid_rows as (
    select
        source_name,
        sum(rows_up_to_cut_off) as row_count
    from {{ ref('row_reconciliation') }}
    group by source_name
),

mart_rows as (
    select
        'prints' as source_name,
        sum(prints) as row_count
    from {{ ref('fct_value_prop_weeks') }}
    union all
    select
        'taps' as source_name,
        sum(taps) as row_count
    from {{ ref('fct_value_prop_weeks') }}
    union all
    select
        'pays' as source_name,
        sum(payments) as row_count
    from {{ ref('fct_value_prop_weeks') }}
),

differences as (
    select
        valid_rows.source_name,
        valid_rows.row_count as valid_rows,
        coalesce(mart_rows.row_count, 0) as mart_rows
    from valid_rows
    left join mart_rows
        on valid_rows.source_name = mart_rows.source_name
    where valid_rows.row_count <> coalesce(mart_rows.row_count, 0)
)

select * from differences
