-- A day without prints in a week that is over is a missing delivery.
select *
from {{ ref('completeness_findings') }}
where severity = 'error' and rule = 'report_day_without_prints'
