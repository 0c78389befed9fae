{#- A snapshot dates its rows with the start of the run, because only the run date may depend on
    the clock. -#}
{% macro duckdb__snapshot_get_time() -%}
    cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp)
{%- endmacro %}
