{% test equal_rowcount(model, compare_model, group_by_columns=[]) %}
    {{ config(fail_calc="coalesce(sum(row_count_difference), 0)") }}
    {{ return(
        adapter.dispatch("test_equal_rowcount", "dbt_utils")(
            model, compare_model, group_by_columns
        )
    ) }}
{% endtest %}

{# An empty table, a null group and a group on one side only are not compared, and pass:
   the real test lets them, and the stand-in must not be stricter. #}
{% macro default__test_equal_rowcount(model, compare_model, group_by_columns) %}
{%- set rule = "equal_rowcount" -%}
{%- do dbt_utils.check_argument(
    rule, "compare_model", compare_model, compare_model, "a ref() or a source()"
) -%}
{%- do dbt_utils.check_columns(
    rule, "group_by_columns", group_by_columns, may_be_empty=true
) -%}
with

tested as (
    {{ dbt_utils.row_counts(model, group_by_columns) }}
),

compared as (
    {{ dbt_utils.row_counts(compare_model, group_by_columns) }}
)

select
    tested.*,
    compared.row_count as compared_row_count,
    abs(tested.row_count - compared.row_count) as row_count_difference
from tested
inner join compared
    on tested.row_count <> compared.row_count
    and tested.row_count > 0
    and compared.row_count > 0
    {% for column in group_by_columns %}
    and tested.{{ column }} = compared.{{ column }}
    {% endfor %}
{% endmacro %}
