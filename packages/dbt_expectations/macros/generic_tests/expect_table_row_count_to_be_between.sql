{% test expect_table_row_count_to_be_between(model, min_value=none, max_value=none) %}
{{ dbt_expectations.aggregate_outside_bounds(
    "expect_table_row_count_to_be_between", "count(*)", model, min_value, max_value
) }}
{% endtest %}
