{% test expect_table_row_count_to_equal_other_table(
    model,
    compare_model,
    group_by=none,
    compare_group_by=none,
    factor=1,
    row_condition=none,
    compare_row_condition=none
) %}
    {{ return(
        adapter.dispatch(
            "test_expect_table_row_count_to_equal_other_table", "dbt_expectations"
        )(
            model,
            compare_model,
            group_by if group_by is not none else [],
            compare_group_by if compare_group_by is not none else group_by or [],
            factor,
            row_condition,
            compare_row_condition if compare_row_condition is not none else row_condition
        )
    ) }}
{% endtest %}

{# A table without rows, or a group without rows on one side, counts as 0. A null group
   equals no group, not even the other table's: it fails. #}
{% macro default__test_expect_table_row_count_to_equal_other_table(
    model,
    compare_model,
    columns,
    compare_columns,
    factor,
    row_condition,
    compare_row_condition
) %}
{%- set rule = "expect_table_row_count_to_equal_other_table" -%}
{%- do dbt_expectations.check_comparison(
    rule, compare_model, columns, compare_columns, factor
) -%}
{%- do dbt_expectations.check_condition(rule, "row_condition", row_condition) -%}
{%- do dbt_expectations.check_condition(
    rule, "compare_row_condition", compare_row_condition
) -%}
with

{{ dbt_expectations.row_counts("tested", model, columns, row_condition) }},

{{ dbt_expectations.row_counts(
    "compared", compare_model, compare_columns, compare_row_condition
) }}

select
    {% for column in columns %}
    coalesce(
        tested.{{ column }}, compared.{{ compare_columns[loop.index0] }}
    ) as {{ column }},
    {% endfor %}
    coalesce(tested.row_count, 0) as row_count,
    coalesce(compared.row_count, 0) * {{ factor }} as expected_row_count
from tested
full join compared
    on tested.all_rows = compared.all_rows
    {% for column in columns %}
    and tested.{{ column }} = compared.{{ compare_columns[loop.index0] }}
    {% endfor %}
where coalesce(tested.row_count, 0) <> coalesce(compared.row_count, 0) * {{ factor }}
{% endmacro %}
