{# One name where a list belongs would be read letter by letter. #}
{% macro check_columns(rule, argument, value, may_be_empty=false) %}
    {% set is_list = value is sequence and value is not string and value is not mapping %}
    {% do dbt_expectations.check_argument(
        rule,
        argument,
        value,
        is_list
        and (may_be_empty or value | length > 0)
        and value | reject("string") | list | length == 0,
        "a list of column names"
    ) %}
{% endmacro %}
