{# The tests of one number for a table, or for each of its groups, all come here. #}
{% macro aggregates_outside_bounds(
    rule, aggregate, model, min_value, max_value, group_by, row_condition, strictly
) %}
{%- do dbt_expectations.check_bounds(rule, min_value, max_value) -%}
{%- do dbt_expectations.check_condition(rule, "row_condition", row_condition) -%}
{%- do dbt_expectations.check_flag(rule, "strictly", strictly) -%}
{%- if group_by is not none -%}
    {%- do dbt_expectations.check_columns(rule, "group_by", group_by) -%}
{%- endif -%}
with

{{ dbt_expectations.rows_under_test(model, row_condition) }},

aggregates as (
    select
        {% for column in group_by or [] %}
        {{ column }},
        {% endfor %}
        {{ aggregate }} as tested_value
    from rows_under_test
    {% if group_by %}
    group by {{ group_by | join(", ") }}
    {% endif %}
)

select *
from aggregates
where {{ dbt_expectations.outside_bounds(
    "tested_value", min_value, max_value, strictly
) }}
{% endmacro %}
