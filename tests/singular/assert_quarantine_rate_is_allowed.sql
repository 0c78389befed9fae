-- A few bad rows are a nuisance; many of them are a broken delivery, and a report
-- without them would be wrong. max_quarantine_rate says how many are many.
select * from {{ ref('quarantine_rates') }}
where is_too_high
