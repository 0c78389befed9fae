-- A few bad rows do little harm. Many bad rows are a broken delivery, and a report
-- without them would be wrong. max_quarantine_rate sets the limit.
select * from {{ ref('quarantine_rates') }}
where is_too_high
