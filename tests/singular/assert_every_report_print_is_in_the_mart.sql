-- A print that gets lost on its way from staging to the mart is missed by no one: no
-- key is doubled and no value is wrong. So the mart is counted against staging, by day,
-- value prop and position; the sum of user_id tells one print from another.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

valid_prints as (
    select
        stg_prints.print_date,
        stg_prints.value_prop,
        stg_prints.position,
        count(*) as prints,
        sum(cast(stg_prints.user_id as decimal(38, 0))) as sum_of_user_ids
    from {{ ref('stg_prints') }} as stg_prints
    inner join run_window
        on
            stg_prints.print_date
            between run_window.first_week_start_date and run_window.last_report_day
    group by stg_prints.print_date, stg_prints.value_prop, stg_prints.position
),

mart_prints as (
    select
        print_date,
        value_prop,
        position,
        count(*) as prints,
        sum(cast(user_id as decimal(38, 0))) as sum_of_user_ids
    from {{ ref('fct_prints') }}
    group by print_date, value_prop, position
),

differences as (
    select
        coalesce(valid_prints.print_date, mart_prints.print_date) as print_date,
        coalesce(valid_prints.value_prop, mart_prints.value_prop) as value_prop,
        coalesce(valid_prints.position, mart_prints.position) as position,
        coalesce(valid_prints.prints, 0) as valid_prints,
        coalesce(mart_prints.prints, 0) as mart_prints
    from valid_prints
    full outer join mart_prints
        on
            valid_prints.print_date = mart_prints.print_date
            and valid_prints.value_prop = mart_prints.value_prop
            and valid_prints.position = mart_prints.position
    where
        coalesce(valid_prints.prints, 0) <> coalesce(mart_prints.prints, 0)
        or coalesce(valid_prints.sum_of_user_ids, 0)
        <> coalesce(mart_prints.sum_of_user_ids, 0)
)

select * from differences
