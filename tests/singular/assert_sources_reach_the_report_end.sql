-- The silence of taps or pays would look like no click or no payment.
select *
from {{ ref('completeness_findings') }}
where severity = 'error' and rule = 'source_ends_early'
