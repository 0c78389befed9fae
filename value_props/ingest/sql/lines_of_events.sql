-- One row per line of a prints or taps file, in their order: typed values, and the first rule
-- that a bad line breaks. A blank line is a row of nulls. A plain line's values read back as
-- they were written and leave no room for anything else; only the others are judged rule by
-- rule, which costs more.
with

lines as (
    select * from lines_of($read_path, $compression, $hard_lines)
),

valid_lines as (
    select
        lines.*,
        case when is_readable and json_valid(line) then line end as json_line
    from lines
),

records as (
    select
        valid_lines.*,
        from_json(
            json_line,
            '{"day": "VARCHAR", "user_id": "VARCHAR",
              "event_data": {"position": "VARCHAR", "value_prop": "VARCHAR"}}'
        ) as record
    from valid_lines
),

texts as (
    select
        line_number,
        line,
        json_line,
        record.day as day_text,
        record.user_id as user_text,
        record.event_data.position as position_text,
        record.event_data.value_prop as value_prop
    from records
),

typed as (
    select
        texts.*,
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
        typed.*,
        coalesce(
            event_date >= date '2000-01-01'
            and user_id >= 1
            and position >= 0
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
),

judged as (
    select
        measured.*,
        case
            when is_plain then null
            when is_blank(line) then null
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
                event_date < date '2000-01-01'
                or user_id is null or user_id < 1
                or position is null or position < 0
                then 'out_of_range'
        end as quarantine_reason
    from measured
)

select
    line_number,
    event_date,
    user_id,
    value_prop,
    position,
    quarantine_reason,
    case when is_plain then true else not is_blank(line) end as is_row,
    -- A row may turn out to repeat one of another file, and then its text is due. Kept is
    -- only what its values do not spell out.
    case
        when
            is_plain
            and strlen(line) = plain_length
            and starts_with(line, '{"day":"')
            and substr(line, 19, 26) = '","event_data":{"position"'
            then null
        else line
    end as raw_text,
    case
        when not is_plain and coalesce(quarantine_reason, '') <> 'malformed'
            then unknown_event_keys(json_line)
    end as unknown_keys,
    case
        when quarantine_reason = 'missing_field'
            then list_filter(
                [
                    case when is_blank(day_text) then 'day' end,
                    case when is_blank(user_text) then 'user_id' end,
                    case when is_blank(position_text) then 'event_data.position' end,
                    case when is_blank(value_prop) then 'event_data.value_prop' end
                ],
                lambda name: name is not null
            )
    end as missing_fields
from judged
