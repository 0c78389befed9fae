{#- Load a seed. This escapes quotes and wildcards in the path of the file; dbt-duckdb does not. -#}
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
