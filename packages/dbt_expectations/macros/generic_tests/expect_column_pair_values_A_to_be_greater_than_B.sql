{% test expect_column_pair_values_A_to_be_greater_than_B(
    model, column_A, column_B, or_equal=false, row_condition=none
) %}
    {{ return(
        adapter.dispatch(
            "test_expect_column_pair_values_A_to_be_greater_than_B", "dbt_expectations"
        )(model, column_A, column_B, or_equal, row_condition)
    ) }}
{% endtest %}

{% macro default__test_expect_column_pair_values_A_to_be_greater_than_B(
    model, column_A, column_B, or_equal, row_condition
) %}
{%- set rule = "expect_column_pair_values_A_to_be_greater_than_B" -%}
{%- for argument, value in [("column_A", column_A), ("column_B", column_B)] -%}
    {%- do dbt_expectations.check_argument(
        rule, argument, value, value is string, "a column name"
    ) -%}
{%- endfor -%}
{%- do dbt_expectations.check_flag(rule, "or_equal", or_equal) -%}
{%- do dbt_expectations.check_condition(rule, "row_condition", row_condition) -%}
with

{{ dbt_expectations.rows_under_test(model, row_condition) }}

select *
from rows_under_test
where {{ column_A }} {{ "<" if or_equal else "<=" }} {{ column_B }}
{% endmacro %}
