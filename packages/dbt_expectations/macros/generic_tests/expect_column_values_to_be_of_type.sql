{% test expect_column_values_to_be_of_type(model, column_name, column_type) %}
    {{ return(
        adapter.dispatch(
            "test_expect_column_values_to_be_of_type", "dbt_expectations"
        )(model, column_name, column_type)
    ) }}
{% endtest %}

{% macro default__test_expect_column_values_to_be_of_type(
    model, column_name, column_type
) %}
{%- do dbt_expectations.check_argument(
    "expect_column_values_to_be_of_type",
    "column_type",
    column_type,
    column_type is string and column_type | trim | length > 0,
    "a type name as text"
) -%}
{{ dbt_expectations.column_of_other_type(
    "expect_column_values_to_be_of_type", model, column_name, [column_type]
) }}
{% endmacro %}
