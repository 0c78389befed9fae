-- Prints and clicks of the report weeks, by value prop and position.
select
    position_weeks.value_prop,
    position_weeks.position,
    sum(position_weeks.prints) as prints,
    sum(position_weeks.clicked_prints) as clicked_prints
from marts.fct_position_weeks as position_weeks
inner join intermediate.int_run_window as run_window
    on
        position_weeks.week_start_date
        between run_window.first_week_start_date and run_window.last_week_start_date
group by position_weeks.value_prop, position_weeks.position
order by position_weeks.value_prop, position_weeks.position
