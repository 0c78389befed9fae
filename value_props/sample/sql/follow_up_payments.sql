-- Payments that follow a tap by up to six days. Payments after the last day are left out.
with

delayed as (
    select
        open_id * 4 + position as tap_id,
        user_rank,
        day_number
        + cast(floor(7 * pow(chance('delay', tap_id), 2)) as integer) as day_number,
        prop
    from taps
)

select * from delayed
where
    chance('follow-up', tap_id) < 0.55
    and day_number < day_count()
