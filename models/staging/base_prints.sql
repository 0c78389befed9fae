-- The valid rows of each file by itself: redeliveries across files are among them. The
-- date of the run is no part of a parsed file, so days that are too late are left out
-- here. They are joined away, since a planner that compares with a subquery expects a
-- tenth of the rows.
select
    prints.file_number,
    prints.line_number,
    prints.event_date,
    prints.user_id,
    prints.value_prop,
    prints.position
from {{ raw_rows('prints') }} as prints
left join {{ ref('run_parameters') }} as run
    on prints.event_date > run.run_date + 1
where run.run_date is null
