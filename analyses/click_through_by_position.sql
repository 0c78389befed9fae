-- How much does the place in the carousel matter? Click-through rate by position over all
-- complete weeks, and as a share of that of the first place.
with

position_weeks as (
    select fct_position_weeks.*
    from {{ ref('fct_position_weeks') }} as fct_position_weeks
    inner join {{ ref('fct_value_prop_weeks') }} as fct_value_prop_weeks
        on
            fct_position_weeks.week_start_date = fct_value_prop_weeks.week_start_date
            and fct_position_weeks.value_prop = fct_value_prop_weeks.value_prop
    where fct_value_prop_weeks.is_complete_week
),

summed as (
    select
        position,
        sum(prints) as prints,
        sum(clicked_prints) as clicked_prints
    from position_weeks
    group by position
),

rated as (
    select
        position,
        prints,
        clicked_prints,
        cast(clicked_prints as double) / prints as click_through_rate
    from summed
),

compared as (
    select
        rated.*,
        rated.click_through_rate
        / first_value(rated.click_through_rate) over (order by rated.position)
            as rate_relative_to_first
    from rated
)

select * from compared
order by position
