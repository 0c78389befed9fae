{#- A relation of the source `raw`, with the number of each row's file. -#}
{% macro raw_rows(name) %}
    {{ return(adapter.dispatch('raw_rows')(name)) }}
{% endmacro %}


{% macro duckdb__raw_rows(name) -%}
    {{ source('raw', name) }}
{%- endmacro %}


{#- The list of the raw files of a run. -#}
{% macro raw_file_list() %}
    {{ return(adapter.dispatch('raw_file_list')()) }}
{% endmacro %}


{% macro duckdb__raw_file_list() -%}
    {{ source('raw', 'files') }}
{%- endmacro %}


{#- One row per key or column of a raw file that no rule knows: source_name, file_name,
    field_name, row_count. -#}
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


{#- What the file system says now of a file: its stamp, or an empty text where it is gone. -#}
{% macro current_stamp() %}
    {{ return(adapter.dispatch('current_stamp')()) }}
{% endmacro %}


{% macro duckdb__current_stamp() -%}
    raw_file_stamp(file_path)
{%- endmacro %}
