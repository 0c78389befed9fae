{% test unique_combination_of_columns(
    model, combination_of_columns, quote_columns=false
) %}
    {{ return(
        adapter.dispatch("test_unique_combination_of_columns", "dbt_utils")(
            model, combination_of_columns, quote_columns
        )
    ) }}
{% endtest %}

{# Two nulls count as the same value, unlike in a unique constraint. #}
{% macro default__test_unique_combination_of_columns(
    model, combination_of_columns, quote_columns
) %}
{%- set rule = "unique_combination_of_columns" -%}
{%- do dbt_utils.check_columns(rule, "combination_of_columns", combination_of_columns) -%}
{%- do dbt_utils.check_flag(rule, "quote_columns", quote_columns) -%}
{%- set columns = [] -%}
{%- for column in combination_of_columns -%}
    {%- do columns.append(adapter.quote(column) if quote_columns else column) -%}
{%- endfor -%}
select
    {{ columns | join(",\n    ") }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(", ") }}
having count(*) > 1
{% endmacro %}
