-- The valid payments of each file. Parsed files do not depend on the run date, so this
-- model removes days that are too late. It uses a join, because for a comparison with a
-- subquery the planner expects only a tenth of the rows.
select
    payments.file_number,
    payments.line_number,
    payments.event_date,
    payments.user_id,
    payments.value_prop,
    payments.amount
from {{ raw_rows('pays') }} as payments
left join {{ ref('run_parameters') }} as run
    on payments.event_date > run.run_date + 1
where run.run_date is null
