-- Prints and clicked prints up to the cut-off by week, value prop and position.
with

prints as (
    select * from {{ ref('int_prints_with_clicks') }}
),

counted as (
    select
        cast(date_trunc('week', print_date) as date) as week_start_date,
        value_prop,
        position,
        count(*) as prints,
        count(*) filter (where is_clicked) as clicked_prints
    from prints
    group by cast(date_trunc('week', print_date) as date), value_prop, position
)

select * from counted
