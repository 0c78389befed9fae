{#- One row per unknown key of each line: source_name, file_number, field_name. -#}
{% macro unnested_keys(source_name, relation) %}
    {{ return(adapter.dispatch('unnested_keys')(source_name, relation)) }}
{% endmacro %}


{% macro duckdb__unnested_keys(source_name, relation) %}
    select
        '{{ source_name }}' as source_name,
        file_number,
        unnest(list_distinct(unknown_keys)) as field_name
    from {{ relation }}
    where len(unknown_keys) > 0
{% endmacro %}


{#- One row per unknown column of a pays file, with the rows of that file. -#}
{% macro unknown_pays_columns() %}
    {{ return(adapter.dispatch('unknown_pays_columns')()) }}
{% endmacro %}


{% macro duckdb__unknown_pays_columns() %}
    select
        source_name,
        file_name,
        unnest(list_distinct(list_filter(
            columns,
            lambda name: name not in ('pay_date', 'total', 'user_id', 'value_prop')
        ))) as field_name,
        row_count
    from {{ ref('raw_files') }}
    where source_name = 'pays'
{% endmacro %}
