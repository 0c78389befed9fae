-- The valid payments of each file. The date of the run is no part of a parsed file, so
-- days that are too late are left out here. They are joined away, since a planner that
-- compares with a subquery expects a tenth of the rows.
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
