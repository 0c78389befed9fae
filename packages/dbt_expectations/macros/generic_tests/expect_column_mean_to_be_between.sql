{% test expect_column_mean_to_be_between(
    model, column_name, min_value=none, max_value=none, row_condition=none
) %}
{{ dbt_expectations.aggregate_outside_bounds(
    "expect_column_mean_to_be_between",
    "avg(" ~ column_name ~ ")",
    model,
    min_value,
    max_value,
    row_condition
) }}
{% endtest %}
