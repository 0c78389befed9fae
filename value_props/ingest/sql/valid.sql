-- The valid rows of a file that was read line by line.
with

valid_rows as (
    select numbered.*
    from numbered
    anti join repeats
        on numbered.line_number = repeats.line_number
    where numbered.quarantine_reason is null
)

select
    * exclude (quarantine_reason, raw_text, unknown_keys, missing_fields),
    cast(0 as integer) as content_number
from valid_rows
