{# The columns of a table, in order; none while dbt only parses. #}
{% macro columns_of(rule, model) %}
    {% do dbt_expectations.check_argument(
        rule,
        "model",
        model,
        model is not string,
        "a table without where, which picks rows and not columns"
    ) %}
    {{ return(adapter.get_columns_in_relation(model) if execute else []) }}
{% endmacro %}
