{#- What the file system says now of each file that raw_files lists: file_path,
    size_bytes, modified_at (UTC, whole seconds). A file that is gone has no row. -#}
{% macro raw_file_stamps() %}
    {{ return(adapter.dispatch('raw_file_stamps')()) }}
{% endmacro %}


{#- The reader takes a literal list of patterns, so the paths are looked up first. Nothing
    is read of the files: the reader opens them for their size and time only. -#}
{% macro duckdb__raw_file_stamps() %}
    {%- set patterns = [] -%}
    {%- if execute and load_relation(ref('raw_files')) is not none -%}
        {%- set found = run_query("select file_path from " ~ ref('raw_files').render()) -%}
        {%- for path in found.columns[0].values() -%}
            {%- do patterns.append(as_pattern(path)) -%}
        {%- endfor -%}
    {%- endif -%}
    select
        filename as file_path,
        size as size_bytes,
        cast(last_modified as timestamp) as modified_at
    from read_blob([{{ patterns | join(', ') }}])
{%- endmacro %}
