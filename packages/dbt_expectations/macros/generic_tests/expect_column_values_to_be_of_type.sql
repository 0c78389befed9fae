{# One row when the column has another type; upper and lower case are the same. A column
   that is missing passes: the real test lets it, and a contract does not. #}
{% test expect_column_values_to_be_of_type(model, column_name, column_type) %}
{%- set rule = "expect_column_values_to_be_of_type" -%}
{%- do dbt_expectations.check_argument(
    rule,
    "column_type",
    column_type,
    column_type is string and column_type | trim | length > 0,
    "a type name as text"
) -%}
{%- do dbt_expectations.check_argument(
    rule,
    "model",
    model,
    model is not string,
    "a table without where, which picks rows and not columns"
) -%}
{%- set found = [] -%}
{%- for column in (adapter.get_columns_in_relation(model) if execute else []) -%}
    {%- if column.name | lower == column_name | lower -%}
        {%- do found.append(column.dtype | lower) -%}
    {%- endif -%}
{%- endfor -%}
select
    '{{ column_name }}' as column_name,
    '{{ found | join }}' as found_type,
    '{{ column_type | lower }}' as expected_type
where {{ "true" if found and found[0] != column_type | lower else "false" }}
{% endtest %}
