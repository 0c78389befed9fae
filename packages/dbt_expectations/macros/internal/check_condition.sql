{% macro check_condition(rule, argument, value) %}
    {% do dbt_expectations.check_argument(
        rule,
        argument,
        value,
        value is none or (value is string and value | trim | length > 0),
        "a SQL condition as text"
    ) %}
{% endmacro %}
