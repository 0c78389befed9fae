-- Numbers by value prop of the last report week and the week before it.
select
    value_prop_weeks.week_start_date = run_window.last_week_start_date as is_last,
    value_prop_weeks.*
from marts.fct_value_prop_weeks as value_prop_weeks
inner join intermediate.int_run_window as run_window
    on
        value_prop_weeks.week_start_date
        in (run_window.last_week_start_date, run_window.last_week_start_date - 7)
order by value_prop_weeks.value_prop
