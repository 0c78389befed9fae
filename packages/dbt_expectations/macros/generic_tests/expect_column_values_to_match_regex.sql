{% test expect_column_values_to_match_regex(model, column_name, regex) %}
{%- do dbt_expectations.check_argument(
    "expect_column_values_to_match_regex",
    "regex",
    regex,
    regex is string and regex and "'" not in regex | replace("''", ""),
    "a pattern as text, with each apostrophe written twice"
) -%}
select *
from {{ model }}
where not {{ dbt_expectations.regex_is_found(column_name, regex) }}
{% endtest %}
