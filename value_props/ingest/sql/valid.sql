-- The valid rows of a file that was read line by line.
select
    numbered.* exclude (quarantine_reason, raw_text, unknown_keys, missing_fields),
    cast(0 as integer) as content_number
from numbered
anti join repeats using (line_number)
where quarantine_reason is null
