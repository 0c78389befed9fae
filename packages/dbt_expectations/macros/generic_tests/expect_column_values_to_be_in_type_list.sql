{% test expect_column_values_to_be_in_type_list(model, column_name, column_type_list) %}
    {{ return(
        adapter.dispatch(
            "test_expect_column_values_to_be_in_type_list", "dbt_expectations"
        )(model, column_name, column_type_list)
    ) }}
{% endtest %}

{% macro default__test_expect_column_values_to_be_in_type_list(
    model, column_name, column_type_list
) %}
{%- do dbt_expectations.check_columns(
    "expect_column_values_to_be_in_type_list", "column_type_list", column_type_list
) -%}
{{ dbt_expectations.column_of_other_type(
    "expect_column_values_to_be_in_type_list", model, column_name, column_type_list
) }}
{% endmacro %}
