with

rows_by_file as (
    {{ rows_by_file('pays') }}
)

select
    file_number,
    line_number,
    event_date,
    user_id,
    value_prop,
    amount,
    quarantine_reason,
    {{ raw_text_of('pays') }} as raw_text
from rows_by_file
