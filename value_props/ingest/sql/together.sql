-- The rows of small files that were read as one (`joined`). Each has the number of its
-- content and its line number in its own file.
with

places as (
    select unnest(
        from_json(
            $places,
            '[{
                "first_row": "BIGINT", "first_line": "BIGINT",
                "content_number": "INTEGER"
            }]'
        ),
        max_depth := 2
    )
),

lines as (
    select
        * exclude (line_number, content_number),
        rowid as place
    from joined
),

placed as (
    select
        lines.*,
        lines.place - places.first_row + places.first_line as line_number,
        places.content_number
    from lines
    asof join places
        on lines.place >= places.first_row
)

select * exclude (place)
from placed
order by place
