-- The weeks that drift is judged by: the last report week, and twelve before it.
select
    $run_id as run_id,
    value_prop_weeks.* exclude (iso_week, click_through_rate, orphan_taps)
from marts.fct_value_prop_weeks as value_prop_weeks
cross join intermediate.int_run_window as run_window
where
    value_prop_weeks.week_start_date
    between run_window.last_week_start_date - 84 and run_window.last_week_start_date
order by value_prop_weeks.week_start_date, value_prop_weeks.value_prop
