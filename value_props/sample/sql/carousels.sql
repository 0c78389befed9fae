-- The carousels that an open of the app can show. Each has four value props, at positions
-- 0 to 3. They ignore the user's taste, as an app without a ranking model does. 4,096 are
-- enough, because a user opens the app at most 30 times.
with

orders as (
    select
        cast(numbers.carousel as integer) as carousel,
        value_props.prop,
        value_props.clicked,
        row_number() over (
            partition by numbers.carousel
            order by
                -ln(1 - chance('carousel order', numbers.carousel * 8 + value_props.prop))
                / value_props.shown,
                value_props.prop
        ) as place
    from range(4096) as numbers (carousel)
    cross join value_props
)

select
    carousel,
    cast(place - 1 as integer) as position,
    prop,
    [0.200, 0.127, 0.084, 0.056][place] * clicked as click_weight
from orders
where place <= 4
