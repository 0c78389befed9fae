{% test not_accepted_values(model, column_name, values, quote=true) %}
    {{ return(
        adapter.dispatch("test_not_accepted_values", "dbt_utils")(
            model, column_name, values, quote
        )
    ) }}
{% endtest %}

{# One failure a value, however many rows have it. #}
{% macro default__test_not_accepted_values(model, column_name, values, quote) %}
{%- set rule = "not_accepted_values" -%}
{%- do dbt_utils.check_argument(
    rule,
    "values",
    values,
    values is sequence and values is not string and values,
    "a list of values"
) -%}
{%- do dbt_utils.check_flag(rule, "quote", quote) -%}
{%- set literals = [] -%}
{%- for value in values -%}
    {%- do literals.append(
        dbt_utils.text_literal(rule, "values", value) if quote else value
    ) -%}
{%- endfor -%}
select
    {{ column_name }},
    count(*) as row_count
from {{ model }}
where {{ column_name }} in ({{ literals | join(", ") }})
group by {{ column_name }}
{% endmacro %}
