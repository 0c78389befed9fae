-- Opens of the app by user and day, and the number of prints shown: one to four. Each day
-- the users with the lowest scores open the app, until the print quota of the day is used
-- up. The filter on the score keeps about three times as many users as needed, so that
-- DuckDB need not sort the others.
with

candidates as (
    select
        numbers.user_rank * 32 + days.day_number as open_id,
        numbers.user_rank,
        days.day_number,
        days.print_quota,
        chance('open', open_id) / activity_of(numbers.user_rank) as score,
        case
            when chance('prints shown', open_id) < 0.15 then 1
            when chance('prints shown', open_id) < 0.35 then 2
            when chance('prints shown', open_id) < 0.55 then 3
            else 4
        end as shown
    from range(users()) as numbers (user_rank)
    cross join days
    where score < 4 * (days.print_quota / 2.95 + 10) / users()
),

counted as (
    select
        *,
        coalesce(
            sum(shown) over (
                partition by day_number
                order by score, user_rank
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as shown_before
    from candidates
)

select
    open_id,
    user_rank,
    day_number,
    cast(least(shown, print_quota - shown_before) as integer) as shown
from counted
where shown_before < print_quota
