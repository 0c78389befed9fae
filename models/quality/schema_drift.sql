-- Keys and columns of the raw files that no rule knows. They do not stop a run, but
-- readers should know of them.
with

unknown_fields as (
    {{ unknown_fields() }}
)

select
    cast(source_name as string) as source_name,
    file_name,
    field_name,
    row_count
from unknown_fields
