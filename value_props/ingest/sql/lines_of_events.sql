-- Every line of a prints or taps file, in the order of the file. A line is plain here
-- if its values, written as text, equal its fields and account for its whole length.
-- The text of a line is kept if the values do not determine it. Other lines are judged
-- rule by rule (judged_events.sql), which is slower.
with

records as (
    select
        line,
        event_record(case when json_valid(line) then line end) as record
    from lines_of($read_path, $compression)
),

texts as (
    select
        records.line,
        records.record.day as day_text,
        records.record.user_id as user_text,
        records.record.event_data.position as position_text,
        records.record.event_data.value_prop as value_prop
    from records
),

typed as (
    select
        *,
        try_cast(day_text as date) as event_date,
        try_cast(user_text as bigint) as user_id,
        try_cast(position_text as integer) as position,
        strlen('{"day":"","event_data":{"position":,"value_prop":""},"user_id":}')
        + strlen(day_text) + strlen(user_text) + strlen(position_text)
        + strlen(value_prop) as plain_length
    from texts
),

measured as (
    select
        *,
        coalesce(
            is_allowed_date(event_date)
            and is_allowed_user(user_id)
            and is_allowed_position(position)
            and is_iso_day(day_text, event_date)
            and reads_back(user_text, user_id)
            and reads_back(position_text, position)
            and is_plain_text(value_prop)
            and case
                when strlen(line) = plain_length then true
                when contains(value_prop, ' ') then false
                else strlen(replace(replace(line, ': ', ':'), ', ', ',')) = plain_length
            end,
            false
        ) as is_plain
    from typed
)

select
    event_date,
    user_id,
    value_prop,
    position,
    is_plain,
    -- The quarantine shows the text of a row that is valid here, but repeats a row of
    -- another file or is too late for a run. The length leaves no room for anything
    -- else, so a line with this end has all keys in the order of the app, and its text
    -- follows from its values.
    case
        when
            is_plain
            and strlen(line) = plain_length
            and ends_with(line, '"},"user_id":' || user_text || '}')
            then null
        else line
    end as raw_text
from measured
