{% test expect_column_values_to_be_between(
    model,
    column_name,
    min_value=none,
    max_value=none,
    row_condition=none,
    strictly=false
) %}
    {{ return(
        adapter.dispatch("test_expect_column_values_to_be_between", "dbt_expectations")(
            model, column_name, min_value, max_value, row_condition, strictly
        )
    ) }}
{% endtest %}

{% macro default__test_expect_column_values_to_be_between(
    model, column_name, min_value, max_value, row_condition, strictly
) %}
{%- set rule = "expect_column_values_to_be_between" -%}
{%- do dbt_expectations.check_bounds(rule, min_value, max_value) -%}
{%- do dbt_expectations.check_condition(rule, "row_condition", row_condition) -%}
{%- do dbt_expectations.check_flag(rule, "strictly", strictly) -%}
with

{{ dbt_expectations.rows_under_test(model, row_condition) }}

select *
from rows_under_test
where {{ dbt_expectations.outside_bounds(column_name, min_value, max_value, strictly) }}
{% endmacro %}
