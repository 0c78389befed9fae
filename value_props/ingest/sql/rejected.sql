-- The lines that break a rule, and those that repeat an event. Only repeated events
-- keep their day and value prop, because only their values are known to be valid.
select
    line_number,
    quarantine_reason,
    cast(null as date) as event_date,
    cast(null as varchar) as value_prop,
    missing_fields,
    raw_text
from numbered
where quarantine_reason is not null
union all
select
    line_number,
    'duplicate' as quarantine_reason,
    event_date,
    value_prop,
    cast(null as varchar[]) as missing_fields,
    raw_text
from repeats
