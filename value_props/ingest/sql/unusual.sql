-- The text of valid rows that the app would have written differently.
select
    numbered.line_number,
    numbered.raw_text
from numbered
anti join repeats
    on numbered.line_number = repeats.line_number
where numbered.quarantine_reason is null and numbered.raw_text is not null
