-- A report week without a print is a missing delivery, and never an empty file.
select *
from {{ ref('completeness_findings') }}
where severity = 'error' and rule = 'report_week_without_prints'
