-- The valid taps of each file, including redeliveries across files. Parsed files do not
-- depend on the run date, so this model removes days that are too late. It uses a join,
-- because for a comparison with a subquery the planner expects only a tenth of the
-- rows.
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
