{% test expect_table_columns_to_match_ordered_list(
    model, column_list, transform="upper"
) %}
    {{ return(
        adapter.dispatch(
            "test_expect_table_columns_to_match_ordered_list", "dbt_expectations"
        )(model, column_list, transform)
    ) }}
{% endtest %}

{# A wrong place fails twice: the name it should have is missing, the name it has is not
   expected. #}
{% macro default__test_expect_table_columns_to_match_ordered_list(
    model, column_list, transform
) %}
{%- set rule = "expect_table_columns_to_match_ordered_list" -%}
{%- do dbt_expectations.check_columns(rule, "column_list", column_list) -%}
{%- do dbt_expectations.check_argument(
    rule,
    "transform",
    transform,
    transform is string and transform is filter,
    "a Jinja filter of names, such as upper or lower"
) -%}
{%- set names = dbt_expectations.columns_of(rule, model) | map(attribute="name") -%}
{%- set expected = column_list | map(transform) | list -%}
{%- set found = names | map(transform) | list -%}
with

mismatches as (
    select
        0 as column_position,
        '' as column_name,
        '' as mismatch
    {% for position in range([expected | length, found | length] | max) %}
    {% if expected[position] != found[position] %}
    {% for columns, mismatch in [(expected, "missing"), (found, "not expected")] %}
    {% if columns[position] is defined %}
    union all
    select
        {{ position + 1 }} as column_position,
        '{{ columns[position] }}' as column_name,
        '{{ mismatch }}' as mismatch
    {% endif %}
    {% endfor %}
    {% endif %}
    {% endfor %}
)

select *
from mismatches
where column_position > 0
{% endmacro %}
