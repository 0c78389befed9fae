{# One row when the column has none of the types; upper and lower case are the same. A
   column that is missing passes: the real tests let it, and a contract does not. #}
{% macro column_of_other_type(rule, model, column_name, column_types) %}
{%- set expected = column_types | map("lower") | list -%}
{%- set found = [] -%}
{%- for column in dbt_expectations.columns_of(rule, model) -%}
    {%- if column.name | lower == column_name | lower -%}
        {%- do found.append(column.dtype | lower) -%}
    {%- endif -%}
{%- endfor -%}
select
    '{{ column_name }}' as column_name,
    '{{ found | join }}' as found_type,
    '{{ expected | join(", ") }}' as expected_types
where {{ "true" if found and found[0] not in expected else "false" }}
{% endmacro %}
