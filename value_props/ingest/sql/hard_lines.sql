-- The lines that Python passes as values, because DuckDB cannot read them from a file.
create or replace temp table hard_lines as
with

hard as (
    select unnest(
        from_json(
            $hard_lines,
            '[{"line_number": "BIGINT", "raw_text": "VARCHAR", "is_readable": "BOOLEAN"}]'
        ),
        max_depth := 2
    )
)

select
    line_number,
    raw_text as line,
    is_readable
from hard
