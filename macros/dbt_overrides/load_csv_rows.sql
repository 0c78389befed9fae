{#- Load a seed: dbt-duckdb puts the path of its file into SQL as it is, and a path may hold a
    quote or a wildcard. -#}
{% macro duckdb__load_csv_rows(model, agate_table) %}
    {% set path = modules.re.sub('([*?\\[])', '[\\1]', adapter.get_seed_file_path(model)) %}
    {% set load %}
        copy {{ this }}
        from '{{ path | replace("'", "''") }}'
        (format csv, header true, delimiter ',', quote '"', escape '"', encoding 'utf-8')
    {% endset %}
    {% do adapter.add_query(load, abridge_sql_log=True) %}
    {{ return(load) }}
{% endmacro %}
