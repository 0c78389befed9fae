-- The number of prints and taps of each day, and its weight for payments. The quotas are
-- differences of running totals in whole numbers, so they add up to the wanted rows.
with

calendar as (
    select
        cast(numbers.day_number as integer) as day_number,
        first_day() + cast(numbers.day_number as integer) as day
    from range(day_count()) as numbers (day_number)
),

weights as (
    select
        *,
        cast(floor(
            1000
            * [1.06, 1.03, 1.02, 1.04, 1.10, 0.92, 0.83][isodow(day)]
            * (0.96 + 0.08 * chance('opens of day', day_number))
        ) as bigint) as print_weight,
        cast(floor(
            1000
            * [1.00, 0.99, 0.99, 1.00, 1.02, 1.08, 1.06][isodow(day)]
            * (0.96 + 0.08 * chance('clicks of day', day_number))
        ) as bigint) as click_weight,
        cast(floor(
            1000
            * [0.97, 0.96, 0.98, 1.03, 1.18, 1.12, 0.76][isodow(day)]
            * (case when day(day) <= 5 or day(day) >= 28 then 1.06 else 1.0 end)
            * (0.97 + 0.06 * chance('payments of day', day_number))
        ) as bigint) as pay_weight
    from calendar
),

running_totals as (
    select
        *,
        sum(print_weight) over up_to_day as prints_so_far,
        sum(print_weight) over () as prints_in_all,
        sum(print_weight * click_weight) over up_to_day as taps_so_far,
        sum(print_weight * click_weight) over () as taps_in_all
    from weights
    window up_to_day as (order by day_number)
),

quotas as (
    select
        *,
        cast(prints_wanted() * prints_so_far // prints_in_all as bigint) as prints_until,
        cast(taps_wanted() * taps_so_far // taps_in_all as bigint) as taps_until
    from running_totals
)

select
    day_number,
    day,
    pay_weight,
    prints_until - lag(prints_until, 1, 0) over (order by day_number) as print_quota,
    taps_until - lag(taps_until, 1, 0) over (order by day_number) as tap_quota
from quotas
order by day_number
