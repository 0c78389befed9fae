{% test sums_agree(
    model, compare_model, sums, key=[], compare_sums=none, compare_where=none
) %}
{%- set compared = compare_sums or sums -%}
{%- if sums is not mapping or compared is not mapping or sums.keys() != compared.keys() -%}
    {%- do exceptions.raise_compiler_error(
        "sums_agree: sums is " ~ sums ~ " and compare_sums is " ~ compare_sums
        ~ "; allowed: aggregates by name, the same names in both"
    ) -%}
{%- elif key is string -%}
    {%- do exceptions.raise_compiler_error(
        "sums_agree: key is '" ~ key ~ "'; allowed: a list of columns"
    ) -%}
{%- endif -%}
with

{% for step, relation, aggregates, condition in [
    ("found", model, sums, none),
    ("expected", compare_model, compared, compare_where)
] -%}
{{ step }} as (
    select
        {% for column in key -%}
        {{ column }},
        {% endfor -%}
        {% for name, aggregate in aggregates.items() -%}
        {{ aggregate }} as {{ name }}{{ "," if not loop.last }}
        {% endfor %}
    from {{ relation }}
    {{ "where " ~ condition if condition }}
    {{ "group by " ~ key | join(", ") if key }}
),

{% endfor -%}
differences as (
    select
        {% for column in key -%}
        coalesce(found.{{ column }}, expected.{{ column }}) as {{ column }},
        {% endfor -%}
        {% for name in sums -%}
        coalesce(found.{{ name }}, 0) as {{ name }},
        coalesce(expected.{{ name }}, 0) as expected_{{ name }}{{ "," if not loop.last }}
        {% endfor %}
    from found
    {{ "full outer join" if key else "cross join" }} expected
        {% for column in key -%}
        {{ "on" if loop.first else "and" }} found.{{ column }} = expected.{{ column }}
        {% endfor %}
)

select * from differences
where
    {% for name in sums -%}
    {{ "or " if not loop.first }}{{ name }} <> expected_{{ name }}
    {% endfor %}
{% endtest %}
