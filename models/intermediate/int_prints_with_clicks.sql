-- Every print up to the cut-off, and whether it was clicked. Taps are already unique by
-- day, user, value prop and position. Grouping them makes sure that no tap multiplies a
-- print.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

prints as (
    select * from {{ ref('stg_prints') }}
),

taps as (
    select
        tap_date,
        user_id,
        value_prop,
        position
    from {{ ref('stg_taps') }}
    group by tap_date, user_id, value_prop, position
),

prints_up_to_cut_off as (
    select prints.*
    from prints
    inner join run_window
        on prints.print_date <= run_window.as_of_date
),

matched as (
    select
        prints_up_to_cut_off.print_date,
        prints_up_to_cut_off.user_id,
        prints_up_to_cut_off.value_prop,
        prints_up_to_cut_off.position,
        taps.user_id is not null as is_clicked
    from prints_up_to_cut_off
    left join taps
        on
            prints_up_to_cut_off.user_id = taps.user_id
            and prints_up_to_cut_off.print_date = taps.tap_date
            and prints_up_to_cut_off.value_prop = taps.value_prop
            and prints_up_to_cut_off.position = taps.position
)

select * from matched
