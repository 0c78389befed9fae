{% macro days_between(first_date, second_date) %}
    {{ return(adapter.dispatch('days_between')(first_date, second_date)) }}
{% endmacro %}


{% macro duckdb__days_between(first_date, second_date) -%}
    date_diff('day', {{ first_date }}, {{ second_date }})
{%- endmacro %}


{% macro spark__days_between(first_date, second_date) -%}
    datediff({{ second_date }}, {{ first_date }})
{%- endmacro %}
