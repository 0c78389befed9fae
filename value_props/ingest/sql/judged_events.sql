-- The lines of a prints or taps file that are not plain (`odd_lines`): their typed
-- values, and the first rule that each bad line breaks.
with

valid_lines as (
    select
        *,
        case when is_readable and json_valid(line) then line end as json_line
    from odd_lines
),

records as (
    select
        *,
        event_record(json_line) as record
    from valid_lines
),

texts as (
    select
        records.line_number,
        records.line,
        records.json_line,
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
        try_cast(position_text as integer) as position
    from texts
),

judged as (
    select
        *,
        case
            when json_line is null then 'malformed'
            when is_lax_json(json_line) then 'malformed'
            when has_repeated_key(json_line, '$', ['day', 'user_id', 'event_data'])
                then 'malformed'
            when has_repeated_key(json_line, '$.event_data', ['position', 'value_prop'])
                then 'malformed'
            when
                is_blank(day_text) or is_blank(user_text)
                or is_blank(position_text) or is_blank(value_prop)
                then 'missing_field'
            when
                not is_iso_day(day_text, event_date)
                or not is_whole_number(user_text, json_line, '$.user_id')
                or not is_whole_number(position_text, json_line, '$.event_data.position')
                or json_type(json_line, '$.event_data.value_prop') <> 'VARCHAR'
                or contains(value_prop, chr(0))
                then 'bad_type'
            when
                not is_allowed_date(event_date)
                or not coalesce(is_allowed_user(user_id), false)
                or not coalesce(is_allowed_position(position), false)
                then 'out_of_range'
        end as quarantine_reason
    from typed
)

select
    line_number,
    event_date,
    user_id,
    value_prop,
    position,
    quarantine_reason,
    line as raw_text,
    case
        when quarantine_reason = 'malformed' then null
        else unknown_event_keys(json_line)
    end as unknown_keys,
    case
        when quarantine_reason = 'missing_field'
            then without_nulls(
                [
                    case when is_blank(day_text) then 'day' end,
                    case when is_blank(user_text) then 'user_id' end,
                    case when is_blank(position_text) then 'event_data.position' end,
                    case when is_blank(value_prop) then 'event_data.value_prop' end
                ]
            )
    end as missing_fields
from judged
