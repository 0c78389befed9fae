{#- The on-run-start hook of a build. Return the statement that reads the new raw files and shows all raw
    files as the source `raw`. Return nothing for `value-props build`, which reads them before it
    starts dbt, and for commands that build nothing. -#}
{% macro ingest_raw_files() %}
    {{ return(adapter.dispatch('ingest_raw_files')()) }}
{% endmacro %}


{#- Plain dbt keeps the parsed files beside its database, because the views there read them. -#}
{% macro duckdb__ingest_raw_files() %}
    {%- if flags.WHICH in ['build', 'run', 'retry'] and target.name == 'dev' -%}
    select ingest_raw_files(
        '{{ (var("raw_path") or "data/raw") | replace("'", "''") }}',
        '{{ (target.path ~ ".parsed") | replace("'", "''") }}',
        '{{ "nothing" if flags.FULL_REFRESH else "stamps" }}'
    )
    {%- endif -%}
{% endmacro %}
