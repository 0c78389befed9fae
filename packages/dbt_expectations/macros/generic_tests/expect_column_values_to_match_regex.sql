{% test expect_column_values_to_match_regex(
    model, column_name, regex, row_condition=none, is_raw=false, flags=""
) %}
    {{ return(
        adapter.dispatch("test_expect_column_values_to_match_regex", "dbt_expectations")(
            model, column_name, regex, row_condition, is_raw, flags
        )
    ) }}
{% endtest %}

{# is_raw changes nothing: every engine gets the pattern as it is written. #}
{% macro default__test_expect_column_values_to_match_regex(
    model, column_name, regex, row_condition, is_raw, flags
) %}
{%- set rule = "expect_column_values_to_match_regex" -%}
{%- do dbt_expectations.check_argument(
    rule,
    "regex",
    regex,
    regex is string and regex and "'" not in regex | replace("''", ""),
    "a pattern as text, with each apostrophe written twice"
) -%}
{%- do dbt_expectations.check_condition(rule, "row_condition", row_condition) -%}
{%- do dbt_expectations.check_flag(rule, "is_raw", is_raw) -%}
{%- do dbt_expectations.check_argument(
    rule, "flags", flags, flags is string, "letters that the engine knows, as text"
) -%}
with

{{ dbt_expectations.rows_under_test(model, row_condition) }}

select *
from rows_under_test
where not {{ dbt_expectations.regex_is_found(column_name, regex, flags) }}
{% endmacro %}
