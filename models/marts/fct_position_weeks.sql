-- Click-through rate by value prop, position and week.
with

print_weeks as (
    select * from {{ ref('int_print_weeks') }}
),

weeks as (
    select * from {{ ref('int_iso_weeks') }}
),

rated as (
    select
        print_weeks.week_start_date,
        weeks.iso_week,
        print_weeks.value_prop,
        print_weeks.position,
        print_weeks.prints,
        print_weeks.clicked_prints,
        cast(print_weeks.clicked_prints as double) / print_weeks.prints
            as click_through_rate
    from print_weeks
    inner join weeks
        on print_weeks.week_start_date = weeks.week_start_date
)

select * from rated
