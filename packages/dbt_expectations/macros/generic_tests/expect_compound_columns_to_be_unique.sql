{% test expect_compound_columns_to_be_unique(
    model,
    column_list,
    quote_columns=false,
    ignore_row_if="all_values_are_missing",
    row_condition=none
) %}
    {{ return(
        adapter.dispatch("test_expect_compound_columns_to_be_unique", "dbt_expectations")(
            model, column_list, quote_columns, ignore_row_if, row_condition
        )
    ) }}
{% endtest %}

{% macro default__test_expect_compound_columns_to_be_unique(
    model, column_list, quote_columns, ignore_row_if, row_condition
) %}
{%- set rule = "expect_compound_columns_to_be_unique" -%}
{%- set join_words = {"all_values_are_missing": "or", "any_value_is_missing": "and"} -%}
{%- do dbt_expectations.check_columns(rule, "column_list", column_list) -%}
{%- do dbt_expectations.check_flag(rule, "quote_columns", quote_columns) -%}
{%- do dbt_expectations.check_argument(
    rule,
    "ignore_row_if",
    ignore_row_if,
    ignore_row_if in join_words,
    join_words | join(" or ")
) -%}
{%- do dbt_expectations.check_condition(rule, "row_condition", row_condition) -%}
{%- set columns = [] -%}
{%- set filled = [] -%}
{%- for column in column_list -%}
    {%- set name = adapter.quote(column) if quote_columns else column -%}
    {%- do columns.append(name) -%}
    {%- do filled.append(name ~ " is not null") -%}
{%- endfor -%}
with

{{ dbt_expectations.rows_under_test(model, row_condition) }}

select
    {{ columns | join(",\n    ") }},
    count(*) as row_count
from rows_under_test
where {{ filled | join(" " ~ join_words[ignore_row_if] ~ " ") }}
group by {{ columns | join(", ") }}
having count(*) > 1
{% endmacro %}
