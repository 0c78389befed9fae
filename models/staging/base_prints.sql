-- The valid prints of each file, including redeliveries across files. Parsed files do
-- not depend on the run date, so this model removes days that are too late. It uses a
-- join, because for a comparison with a subquery the planner expects only a tenth of
-- the rows.
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
