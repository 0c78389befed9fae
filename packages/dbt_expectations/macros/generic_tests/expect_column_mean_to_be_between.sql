{% test expect_column_mean_to_be_between(
    model,
    column_name,
    min_value=none,
    max_value=none,
    group_by=none,
    row_condition=none,
    strictly=false
) %}
    {{ return(
        adapter.dispatch("test_expect_column_mean_to_be_between", "dbt_expectations")(
            model, column_name, min_value, max_value, group_by, row_condition, strictly
        )
    ) }}
{% endtest %}

{% macro default__test_expect_column_mean_to_be_between(
    model, column_name, min_value, max_value, group_by, row_condition, strictly
) %}
{{ dbt_expectations.aggregates_outside_bounds(
    "expect_column_mean_to_be_between",
    "avg(" ~ column_name ~ ")",
    model,
    min_value,
    max_value,
    group_by,
    row_condition,
    strictly
) }}
{% endmacro %}
