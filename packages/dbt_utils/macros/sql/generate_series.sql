{# Counts in decimal: one copy of the ten digits for each place that upper_bound needs.
   The numbers are double, as from the real macro: a caller that adds them to a date has
   to cast them, and then runs on both. #}
{% macro generate_series(upper_bound) %}
{%- do dbt_utils.check_argument(
    "generate_series",
    "upper_bound",
    upper_bound,
    upper_bound is integer and upper_bound is not boolean and upper_bound > 0,
    "a whole number from 1"
) -%}
{%- set places = (upper_bound - 1) | string | length -%}
with

digits as (
    {% for digit in range(10) %}
    select {{ digit }} as digit
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
),

numbers as (
    select
        1
        {% for place in range(places) %}
        + {{ 10 ** place }} * place_{{ place }}.digit
        {% endfor %}
        as whole_number
    from digits as place_0
    {% for place in range(1, places) %}
    cross join digits as place_{{ place }}
    {% endfor %}
)

select cast(whole_number as double) as generated_number
from numbers
where whole_number <= {{ upper_bound }}
order by generated_number
{% endmacro %}
