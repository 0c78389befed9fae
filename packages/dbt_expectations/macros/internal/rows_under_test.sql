{# The first step of most tests: the rows that row_condition leaves. #}
{% macro rows_under_test(model, row_condition) %}
rows_under_test as (
    select *
    from {{ model }}
    {% if row_condition %}
    where {{ row_condition }}
    {% endif %}
)
{%- endmacro %}
