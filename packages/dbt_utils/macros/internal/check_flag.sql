{% macro check_flag(rule, argument, value) %}
    {% do dbt_utils.check_argument(
        rule, argument, value, value is boolean, "true or false"
    ) %}
{% endmacro %}
