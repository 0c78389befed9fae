{# Two nulls count as the same value, unlike in a unique constraint. #}
{% test unique_combination_of_columns(model, combination_of_columns) %}
{%- do dbt_utils.check_columns(
    "unique_combination_of_columns", "combination_of_columns", combination_of_columns
) -%}
select
    {{ combination_of_columns | join(",\n    ") }},
    count(*) as row_count
from {{ model }}
group by {{ combination_of_columns | join(", ") }}
having count(*) > 1
{% endtest %}
