{#- DuckDB clones no tables. dbt would instead replace a table by a view of itself, because the state
    and the target are the same file. -#}
{% macro duckdb__can_clone_table() %}
    {%- do exceptions.raise_compiler_error(
        "`dbt clone` cannot work here, because DuckDB clones no tables. Copy the database file."
    ) -%}
{% endmacro %}
