{# A step with the number of rows of a table, or of each of its groups. #}
{% macro row_counts(step, relation, columns, row_condition) %}
{{ step }} as (
    select
        {% for column in columns %}
        {{ column }},
        {% endfor %}
        'all rows' as all_rows,
        count(*) as row_count
    from {{ relation }}
    {% if row_condition %}
    where {{ row_condition }}
    {% endif %}
    {% if columns %}
    group by {{ columns | join(", ") }}
    {% endif %}
)
{%- endmacro %}
