-- The weeks that the drift checks compare: the last report week and twelve before it, one
-- row per week and value prop.
select
    $run_id as run_id,
    value_prop_weeks.week_start_date,
    value_prop_weeks.value_prop,
    value_prop_weeks.prints,
    value_prop_weeks.clicked_prints,
    value_prop_weeks.taps,
    value_prop_weeks.payments,
    value_prop_weeks.amount,
    value_prop_weeks.is_complete_week
from marts.fct_value_prop_weeks as value_prop_weeks
cross join intermediate.int_run_window as run_window
where
    value_prop_weeks.week_start_date
    between run_window.last_week_start_date - 84 and run_window.last_week_start_date
order by value_prop_weeks.week_start_date, value_prop_weeks.value_prop
