-- The valid rows of each file by itself: redeliveries across files are among them. The
-- date of the run is no part of a parsed file, so days that are too late are left out
-- here. They are joined away, since a planner that compares with a subquery expects a
-- tenth of the rows.
select
    taps.file_number,
    taps.line_number,
    taps.event_date,
    taps.user_id,
    taps.value_prop,
    taps.position
from {{ raw_rows('taps') }} as taps
left join {{ ref('run_parameters') }} as run
    on taps.event_date > run.run_date + 1
where run.run_date is null
