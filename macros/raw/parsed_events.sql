{#- One row per line of a prints or taps file, in their order: typed values, and the first
    rule that a bad line breaks. A blank line is a row of nulls. -#}
{% macro parsed_events(source_name, file) %}
with

lines as (
    {{ raw_lines(source_name, file) }}
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

{{ judged_events() }}

select
    line_number,
    event_date,
    user_id,
    value_prop,
    position,
    quarantine_reason,
    -- Any row may turn out to repeat one of another file, and then its text is due.
    case when not {{ spells_out_its_values() }} then line end as raw_text,
    case when not is_plain and coalesce(quarantine_reason, '') <> 'malformed'
        then {{ unknown_event_keys('json_line') }} end as unknown_keys
from judged
{% endmacro %}


{#- The CTEs from `texts` (fields as text) to `judged` (typed, with quarantine_reason).

    Nearly every line is plain: its values read back as they were written, and the line
    is just as long as the five keys and values are. Then there is no room for anything
    that the JSON reader would let pass (a repeated key, NaN, a trailing comma), and no
    closer look is due. The others are judged rule by rule, which costs more. -#}
{% macro judged_events() %}
    {%- set punctuation =
        '{"day":"","event_data":{"position":,"value_prop":""},"user_id":}' | length -%}
typed as (
    select
        texts.*,
        try_cast(day_text as date) as event_date,
        try_cast(user_text as bigint) as user_id,
        try_cast(position_text as integer) as position,
        {{ punctuation }} + strlen(day_text) + strlen(user_text)
        + strlen(position_text) + strlen(value_prop) as plain_length
    from texts
),

sized as (
    select
        typed.*,
        coalesce(
            event_date >= date '2000-01-01'
            and user_id >= 1
            and position >= 0
            and strlen(day_text) = 10
            and cast(event_date as varchar) = day_text
            and cast(user_id as varchar) = user_text
            and cast(position as varchar) = position_text
            and value_prop between 'a' and '{'
            and value_prop <> 'true' and value_prop <> 'false'
            and value_prop <> 'nan' and value_prop not like 'inf%'
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
        sized.*,
        case
            when is_plain or {{ is_blank('line') }} then null
            {{ event_rules() }}
        end as quarantine_reason
    from sized
)
{% endmacro %}


{#- Whether a line is just what its values spell out (raw_text_of): plain, without a
    blank, and with its keys in this order. A plain line has no room for others. -#}
{% macro spells_out_its_values() -%}
    (
        is_plain
        and strlen(line) = plain_length
        and starts_with(line, '{"day":"')
        and substr(line, 19, 26) = '","event_data":{"position"'
    )
{%- endmacro %}
