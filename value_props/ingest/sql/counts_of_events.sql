-- Number of rows of a file by day, value prop and quarantine reason, and the number of
-- bytes that the app writes for the valid rows.
select
    content_number,
    event_date,
    value_prop,
    cast(null as varchar) as quarantine_reason,
    count(*) as row_count,
    cast(sum(0) as decimal(38, 2)) as amount,
    cast(sum(event_bytes(user_id, value_prop, position)) as bigint) as plain_bytes
from valid_rows
group by content_number, event_date, value_prop
union all
select
    cast(0 as integer) as content_number,
    event_date,
    value_prop,
    quarantine_reason,
    count(*) as row_count,
    cast(0 as decimal(38, 2)) as amount,
    cast(0 as bigint) as plain_bytes
from rejected_lines
group by event_date, value_prop, quarantine_reason
