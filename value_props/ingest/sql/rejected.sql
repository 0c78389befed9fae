-- The lines that break a rule, and those that repeat an event. Only of a repeated event
-- the values are known to be right: what another bad line says may be anything.
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
