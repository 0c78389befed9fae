{#- The rules of a print or tap, in their order, as branches of a CASE: the first that
    holds names what is wrong. -#}
{% macro event_rules() %}
            when json_line is null then 'malformed'
            when {{ is_lax_json('json_line') }} then 'malformed'
            when {{ has_repeated_key('json_line', '$', ['day', 'user_id', 'event_data']) }}
                then 'malformed'
            when {{ has_repeated_key(
                'json_line', '$.event_data', ['position', 'value_prop']) }}
                then 'malformed'
            when {{ is_blank('day_text') }} or {{ is_blank('user_text') }}
                or {{ is_blank('position_text') }} or {{ is_blank('value_prop') }}
                then 'missing_field'
            when not {{ is_iso_day('day_text', 'event_date') }}
                or not {{ is_whole_number('user_text', 'json_line', '$.user_id') }}
                or not {{ is_whole_number(
                    'position_text', 'json_line', '$.event_data.position') }}
                or json_type(json_line, '$.event_data.value_prop') <> 'VARCHAR'
                or contains(value_prop, chr(0))
                then 'bad_type'
            when event_date < date '2000-01-01'
                or user_id is null or user_id < 1
                or position is null or position < 0
                then 'out_of_range'
{% endmacro %}


{#- What DuckDB's JSON reader accepts and RFC 8259 does not: NaN and Infinity, a comma
    before a closing bracket; and JSON that is no object. Looked for outside strings. -#}
{% macro is_lax_json(json) -%}
    regexp_matches(
                    regexp_replace({{ json }}, '"(?:[^"\\]|\\.)*"', '""', 'g'),
                    '^[ \t]*[^ \t{]|,[ \t]*[\]}]|[Nn][Aa]|[Ii][Nn][Ff]'
                )
{%- endmacro %}


{% macro has_repeated_key(json, path, keys) -%}
    {%- set known -%}
        list_filter(
            json_keys({{ json }}, '{{ path }}'),
            lambda key: key in ('{{ keys | join("', '") }}')
        )
    {%- endset -%}
    len({{ known }}) > list_unique({{ known }})
{%- endmacro %}


{#- Keys that no rule knows; those of event_data as event_data.<key>. -#}
{% macro unknown_event_keys(json) -%}
    list_concat(
            list_filter(
                json_keys({{ json }}),
                lambda key: key not in ('day', 'user_id', 'event_data')
            ),
            list_transform(
                list_filter(
                    json_keys({{ json }}, '$.event_data'),
                    lambda key: key not in ('position', 'value_prop')
                ),
                lambda key: 'event_data.' || key
            )
        )
{%- endmacro %}


{#- A JSON number without fraction or exponent, or a string of digits: a sign is for
    numbers only. -#}
{% macro is_whole_number(text, json, path) -%}
    (
                    regexp_full_match({{ text }}, '[0-9]+')
                    or (
                        regexp_full_match({{ text }}, '-[0-9]+')
                        and json_type({{ json }}, '{{ path }}') <> 'VARCHAR'
                    )
                )
{%- endmacro %}
