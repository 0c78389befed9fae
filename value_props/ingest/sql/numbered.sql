-- The rows of a file with their physical line numbers: the plain rows of `lines`, and
-- the judged rows (`judged`).
create or replace temp view numbered as
select
    * exclude (is_plain, file_row_number),
    file_row_number + 1 as line_number,
    cast(null as varchar) as quarantine_reason,
    cast(null as varchar[]) as unknown_keys,
    cast(null as varchar[]) as missing_fields
from lines
where is_plain
union all by name
select * exclude (file_row_number)
from judged
