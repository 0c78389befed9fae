{# One row where a number of the whole table misses a bound; a null misses none. A bare YAML
   date is refused: as SQL, 2020-11-05 is the number 2004. #}
{% macro aggregate_outside_bounds(
    rule, aggregate, model, min_value, max_value, row_condition=none
) %}
{%- set misses = [] -%}
{%- for argument, value, misses_if in [
    ("min_value", min_value, "<"), ("max_value", max_value, ">")
] -%}
    {%- do dbt_expectations.check_argument(
        rule,
        argument,
        value,
        value is none
        or value is string
        or (value is number and value is not boolean),
        "a number or a SQL expression as text"
    ) -%}
    {%- if value is not none -%}
        {%- do misses.append("tested_value " ~ misses_if ~ " (" ~ value ~ ")") -%}
    {%- endif -%}
{%- endfor -%}
{%- do dbt_expectations.check_argument(
    rule, "min_value", min_value, misses, "a bound, here or in max_value"
) -%}
{%- do dbt_expectations.check_argument(
    rule,
    "row_condition",
    row_condition,
    row_condition is none or (row_condition is string and row_condition | trim | length > 0),
    "a SQL condition as text"
) -%}
with

aggregated as (
    select {{ aggregate }} as tested_value
    from {{ model }}
    {% if row_condition %}
    where {{ row_condition }}
    {% endif %}
)

select *
from aggregated
where {{ misses | join(" or ") }}
{% endmacro %}
