{% macro check_flag(rule, argument, value) %}
    {% do dbt_expectations.check_argument(
        rule, argument, value, value is boolean, "true or false"
    ) %}
{% endmacro %}
