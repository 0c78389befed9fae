{% macro fail_with(message) %}
    {{ return(adapter.dispatch('fail_with')(message)) }}
{% endmacro %}


{% macro duckdb__fail_with(message) -%}
    error({{ message }})
{%- endmacro %}


{% macro spark__fail_with(message) -%}
    raise_error({{ message }})
{%- endmacro %}
