{% test expression_is_true(model, expression, column_name=none) %}
    {{ return(
        adapter.dispatch("test_expression_is_true", "dbt_utils")(
            model, expression, column_name
        )
    ) }}
{% endtest %}

{# Under a column, the expression is the rest of a sentence that the column begins. #}
{% macro default__test_expression_is_true(model, expression, column_name) %}
{%- do dbt_utils.check_argument(
    "expression_is_true",
    "expression",
    expression,
    expression is string and expression | trim | length > 0,
    "a SQL condition as text"
) -%}
select *
from {{ model }}
where not ({{ column_name or "" }} {{ expression }})
{% endmacro %}
