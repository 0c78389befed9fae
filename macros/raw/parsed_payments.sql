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

fields as (
    select
        lines.*,
        {{ csv_fields('line') }} as field_list
    from lines
),

-- The layout of each file's header is a constant and not a join, which would not keep
-- the lines in their order.
laid_out as (
    select
        fields.*,
        getvariable('pays_layouts')[file_number] as layout
    from fields
),

texts as (
    select
        file_number,
        line_number,
        line,
        coalesce(is_readable and len(field_list) = layout.column_count, false)
            as is_well_formed,
        field_list[layout.pay_date] as day_text,
        field_list[layout.total] as total_text,
        field_list[layout.user_id] as user_text,
        field_list[layout.value_prop] as value_prop
    from laid_out
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
