-- The lines that the rules must judge, with their physical line numbers: `hard_lines`,
-- and those of `lines` that are not plain, not blank and not the header.
create or replace temp view odd_lines as
select
    file_row_number + 1 as line_number,
    raw_text as line,
    true as is_readable
from lines
where
    not is_plain
    and not is_blank(raw_text)
    and file_row_number + 1 is distinct from getvariable('header_line_number')
union all
from hard_lines
