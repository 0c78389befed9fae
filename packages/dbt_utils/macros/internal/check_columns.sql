{# One name where a list belongs would be read letter by letter. #}
{% macro check_columns(rule, argument, value) %}
    {% set is_list = value is sequence and value is not string and value is not mapping %}
    {% do dbt_utils.check_argument(
        rule,
        argument,
        value,
        is_list and value | length > 0 and value | reject("string") | list | length == 0,
        "a list of column names"
    ) %}
{% endmacro %}
