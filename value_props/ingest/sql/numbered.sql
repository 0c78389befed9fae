-- The rows of `judged`, the lines of a file, with their physical line numbers; blank lines and
-- the header are none.
create or replace temp view numbered as
select judged.* exclude (is_row) replace (coalesce(line_number, rowid + 1) as line_number)
from judged
where is_row and rowid + 1 is distinct from getvariable('header_line_number')
