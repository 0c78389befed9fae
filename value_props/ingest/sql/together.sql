-- The rows of small files that were read as one (`joined`), each with the number of its file
-- among them and with its line there.
select
    joined.* exclude (line_number, content_number),
    joined.rowid - places.first_row + places.first_line as line_number,
    places.content_number
from joined
asof join (
    select unnest(
        from_json(
            $places,
            '[{"first_row": "BIGINT", "first_line": "BIGINT", "content_number": "INTEGER"}]'
        ),
        max_depth := 2
    )
) as places
    on joined.rowid >= places.first_row
order by joined.rowid
