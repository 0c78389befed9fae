-- The text of valid rows that are not written as an app writes their values.
select
    line_number,
    raw_text
from numbered
anti join repeats using (line_number)
where quarantine_reason is null and raw_text is not null
