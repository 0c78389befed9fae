{#- Empty, or nothing but spaces and tabs. -#}
{% macro is_blank(text) -%}
    coalesce(trim({{ text }}, ' ' || chr(9)), '') = ''
{%- endmacro %}


{#- A real calendar date written YYYY-MM-DD: it reads back as it was written (DuckDB's
    cast accepts more). Year 0000 reads back as 1 BC, and is none. -#}
{% macro is_iso_day(text, date_column) -%}
    coalesce(
                    strlen({{ text }}) = 10
                    and cast({{ date_column }} as varchar) = {{ text }},
                    false
                )
{%- endmacro %}
