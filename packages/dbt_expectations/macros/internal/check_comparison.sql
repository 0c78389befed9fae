{# The arguments that say with what, and by which groups, a table is compared. #}
{% macro check_comparison(rule, compare_model, columns, compare_columns, factor) %}
    {% do dbt_expectations.check_argument(
        rule, "compare_model", compare_model, compare_model, "a ref() or a source()"
    ) %}
    {% do dbt_expectations.check_columns(rule, "group_by", columns, may_be_empty=true) %}
    {% do dbt_expectations.check_columns(
        rule, "compare_group_by", compare_columns, may_be_empty=true
    ) %}
    {% do dbt_expectations.check_argument(
        rule,
        "compare_group_by",
        compare_columns,
        compare_columns | length == columns | length,
        "as many column names as in group_by"
    ) %}
    {% do dbt_expectations.check_argument(
        rule, "factor", factor, factor is number and factor is not boolean, "a number"
    ) %}
{% endmacro %}
