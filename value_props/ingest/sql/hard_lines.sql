-- The lines that reach the engine as values, and not through a file.
create or replace temp table hard_lines as
select
    hard.line_number,
    hard.raw_text as line,
    hard.is_readable
from (
    select
        unnest(from_json(
            $hard_lines,
            '[{"line_number": "BIGINT", "raw_text": "VARCHAR", "is_readable": "BOOLEAN"}]'
        )) as hard
)
