-- The chance of a tap depends on position, value prop, taste and user. The prints with
-- the lowest scores of a day are tapped. Twice the weight gives twice the chance.
with

scored as (
    select
        *,
        chance('tap', open_id * 4 + position) / (
            click_weight
            * (0.5 + chance('clicks of user', user_rank))
            * case
                when prop = favourite_of(user_rank) then 2.2
                when prop = second_favourite_of(user_rank) then 1.6
                else 0.7
            end
        ) as score
    from prints
)

select
    scored.open_id,
    scored.user_rank,
    scored.day_number,
    scored.position,
    scored.prop
from scored
inner join days
    on scored.day_number = days.day_number
qualify
    row_number() over (
        partition by scored.day_number
        order by scored.score, scored.open_id, scored.position
    ) <= days.tap_quota
