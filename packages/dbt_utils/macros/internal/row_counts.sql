{# The number of rows of a table, or of each of its groups. #}
{% macro row_counts(relation, columns) %}
    select
        {% for column in columns %}
        {{ column }},
        {% endfor %}
        count(*) as row_count
    from {{ relation }}
    {% if columns %}
    group by {{ columns | join(", ") }}
    {% endif %}
{% endmacro %}
