{#- Load a seed: dbt-duckdb puts the path of its file into SQL as it is, and a path may hold a
    quote or a wildcard. -#}
{% macro duckdb__load_csv_rows(model, agate_table) %}
    {% set load %}
        copy {{ this }}
        from {{ as_pattern(adapter.get_seed_file_path(model)) }}
        (format csv, header true, delimiter ',', quote '"', escape '"', encoding 'utf-8')
    {% endset %}
    {% do adapter.add_query(load, abridge_sql_log=True) %}
    {{ return(load) }}
{% endmacro %}
