{#- Return SQL for the line that the app writes for the values of a row. If the raw line differs
    from it, its text is in raw.unusual_lines. -#}
{% macro line_of_values(source_name) -%}
    {%- set day = 'cast(event_date as ' ~ type_string() ~ ')' -%}
    {%- set user = 'cast(user_id as ' ~ type_string() ~ ')' -%}
    {%- if source_name == 'pays' -%}
        {{ day }} || ',' || cast(amount as {{ type_string() }}) || ','
            || {{ user }} || ',' || value_prop
    {%- else -%}
        '{"day":"' || {{ day }} || '","event_data":{"position":'
            || cast(position as {{ type_string() }}) || ',"value_prop":"'
            || value_prop || '"},"user_id":' || {{ user }} || '}'
    {%- endif -%}
{%- endmacro %}


{#- Return the latest valid day of a row: the day after the run date, because the clock of an app
    in another time zone may be a day ahead. -#}
{% macro latest_day() -%}
    (select run_date + 1 from {{ ref('run_parameters') }})
{%- endmacro %}
