{#- With `--empty` no test has rows to judge. Its query runs, so faulty SQL fails, but what it finds
    does not count. Otherwise a test such as "the run window has one row" would fail. -#}
{% macro default__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) %}
    {%- set counted = '0 * (' ~ fail_calc ~ ')' if flags.EMPTY else fail_calc -%}
    {{ return(dbt.default__get_test_sql(main_sql, counted, warn_if, error_if, limit)) }}
{% endmacro %}
