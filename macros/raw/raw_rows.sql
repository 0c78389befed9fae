{#- Return a relation of the source `raw`. Its rows have the number of their file. -#}
{% macro raw_rows(name) %}
    {{ return(adapter.dispatch('raw_rows')(name)) }}
{% endmacro %}


{% macro duckdb__raw_rows(name) -%}
    {{ source('raw', name) }}
{%- endmacro %}


{#- Return the relation that lists the raw files of a run. -#}
{% macro raw_file_list() %}
    {{ return(adapter.dispatch('raw_file_list')()) }}
{% endmacro %}


{% macro duckdb__raw_file_list() -%}
    {{ source('raw', 'files') }}
{%- endmacro %}


{#- Return a query for the JSON keys and CSV columns that no rule knows, one row per file and
    field: source_name, file_name, field_name, row_count. -#}
{% macro unknown_fields() %}
    {{ return(adapter.dispatch('unknown_fields')()) }}
{% endmacro %}


{% macro duckdb__unknown_fields() %}
    select
        raw_files.source_name,
        raw_files.file_name,
        unnest(raw_files.unknown_fields, max_depth := 2)
    from {{ ref('raw_files') }} as raw_files
{% endmacro %}


{#- Return SQL for the current stamp of a file (its size and times); empty if the file is gone. -#}
{% macro current_stamp() %}
    {{ return(adapter.dispatch('current_stamp')()) }}
{% endmacro %}


{% macro duckdb__current_stamp() -%}
    raw_file_stamp(file_path)
{%- endmacro %}
