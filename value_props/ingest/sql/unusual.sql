-- The text of valid rows that are not written as an app writes their values.
select
    numbered.line_number,
    numbered.raw_text
from numbered
anti join repeats
    on numbered.line_number = repeats.line_number
where numbered.quarantine_reason is null and numbered.raw_text is not null
