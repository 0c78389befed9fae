{% test expression_is_true(model, expression) %}
{%- do dbt_utils.check_argument(
    "expression_is_true",
    "expression",
    expression,
    expression is string and expression | trim | length > 0,
    "a SQL condition as text"
) -%}
select *
from {{ model }}
where not ({{ expression }})
{% endtest %}
