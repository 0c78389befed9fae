-- The rows of a prints or taps file in which every line is as the app writes it. Any
-- other line stops the query, and the file is read line by line (lines_of_events.sql).
with

texts as (
    select
        day as day_text,
        user_id as user_text,
        event_data.position as position_text,
        event_data.value_prop as value_prop
    from read_ndjson(
        $read_path,
        columns = {
            day: 'VARCHAR',
            user_id: 'VARCHAR',
            event_data: 'STRUCT(position VARCHAR, value_prop VARCHAR)'
        },
        auto_detect = false, ignore_errors = false, maximum_object_size = 1048576,
        compression = $compression, hive_partitioning = false, union_by_name = false
    )
),

typed as (
    select
        *,
        try_cast(day_text as date) as event_date,
        try_cast(user_text as bigint) as user_id,
        try_cast(position_text as integer) as position
    from texts
)

select
    case
        when
            is_iso_day(day_text, event_date)
            and is_allowed_date(event_date)
            and reads_back(user_text, user_id)
            and is_allowed_user(user_id)
            and reads_back(position_text, position)
            and is_allowed_position(position)
            and is_plain_text(value_prop)
            then event_date
        else error('a line that is not plain')
    end as event_date,
    user_id,
    value_prop,
    position,
    -- Null, because the line number follows from the row's position in the file.
    cast(null as bigint) as line_number,
    cast(0 as integer) as content_number
from typed
