-- The gate: more bad rows than max_quarantine_rate allows tell of a broken delivery.
select *
from {{ ref('quarantine_rates') }}
where is_too_high
