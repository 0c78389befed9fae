{#- One row per line of a pays file, in their order: typed values, and the first rule that
    a bad line breaks. A blank line is a row of nulls; the header has the reason `header`,
    as has each line that repeats it. -#}
{% macro parsed_payments(file) %}
with

lines as (
    {{ raw_lines('pays', file) }}
),

fields as (
    select
        lines.*,
        {{ csv_fields('line') }} as field_list
    from lines
),

texts as (
    select
        line_number,
        line,
        {{ is_header_line(file) }} as is_header,
        coalesce(is_readable and len(field_list) = {{ file['column_count'] }}, false)
            as is_well_formed,
        field_list[{{ file['place_of_pay_date'] }}] as day_text,
        field_list[{{ file['place_of_total'] }}] as total_text,
        field_list[{{ file['place_of_user_id'] }}] as user_text,
        field_list[{{ file['place_of_value_prop'] }}] as value_prop
    from fields
),

{{ judged_payments() }}

select
    line_number,
    event_date,
    user_id,
    value_prop,
    amount,
    case when is_header then 'header' else quarantine_reason end as quarantine_reason,
    case when not {{ spells_out_its_payment(file) }} then line end as raw_text
from judged
{% endmacro %}


{% macro is_header_line(file) -%}
    {%- if file['header_text'] is none -%}
        false
    {%- else -%}
        line is not null and line = {{ as_literal(file['header_text']) }}
    {%- endif -%}
{%- endmacro %}


{#- Whether a line is just what its values spell out (raw_text_of): plain, without a
    quote, and of the four columns in their usual order. -#}
{% macro spells_out_its_payment(file) -%}
    {%- set layout = [
        file['column_count'], file['place_of_pay_date'], file['place_of_total'],
        file['place_of_user_id'], file['place_of_value_prop'],
    ] | map('int') | list -%}
    {{ "(is_plain and not contains(line, '\"'))" if layout == [4, 1, 2, 3, 4]
        else 'false' }}
{%- endmacro %}


{#- The fields of one line of RFC 4180, null where a quote stands where none may.
    Only lines with a quote are taken apart by pattern: their fields are joined again
    by NUL, which no readable line holds, so that one split serves both. -#}
{% macro csv_fields(line) -%}
    {%- set field = '"(?:[^"]|"")*"|[^",]*' -%}
    string_split(
            case
                when not contains({{ line }}, '"') then {{ line }}
                when regexp_full_match({{ line }}, '(?:{{ field }})(?:,(?:{{ field }}))*')
                    then array_to_string(
                        list_transform(
                            regexp_extract_all({{ line }} || ',', '({{ field }}),', 1),
                            lambda part: case
                                when starts_with(part, '"')
                                    then replace(part[2:-2], '""', '"')
                                else part
                            end
                        ),
                        chr(0)
                    )
            end,
            case when contains({{ line }}, '"') then chr(0) else ',' end
        )
{%- endmacro %}
