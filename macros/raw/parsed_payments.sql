{#- One row per line of pays: typed values, and the first rule that a bad line breaks.
    Headers are parsed like any line; the finish_base_table hook removes them. -#}
{% macro parsed_payments() %}
    {{ return(adapter.dispatch('parsed_payments')()) }}
{% endmacro %}


{% macro duckdb__parsed_payments() %}
with

lines as (
    {{ raw_lines('pays') }}
),

layouts as (
    select
        file_number,
        len(columns) as column_count,
        list_position(columns, 'pay_date') as pay_date_position,
        list_position(columns, 'total') as total_position,
        list_position(columns, 'user_id') as user_id_position,
        list_position(columns, 'value_prop') as value_prop_position
    from {{ ref('raw_files') }}
    where source_name = 'pays'
),

fields as (
    select
        lines.*,
        {{ csv_fields('line') }} as field_list
    from lines
),

texts as (
    select
        fields.file_number,
        fields.line_number,
        fields.line,
        coalesce(
            fields.is_readable and len(fields.field_list) = layouts.column_count, false
        ) as is_well_formed,
        fields.field_list[layouts.pay_date_position] as day_text,
        fields.field_list[layouts.total_position] as total_text,
        fields.field_list[layouts.user_id_position] as user_text,
        fields.field_list[layouts.value_prop_position] as value_prop
    from fields
    inner join layouts
        on fields.file_number = layouts.file_number
),

{{ judged_payments() }}

select
    file_number,
    line_number,
    event_date,
    user_id,
    value_prop,
    amount,
    quarantine_reason,
    case when quarantine_reason is not null then line end as raw_text
from judged
{% endmacro %}


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
