{#- The hook on-run-start: the statement that reads the raw files which are new, and shows
    all of them as the source `raw`. `value-props build` has done so before dbt starts, and
    commands that build nothing read nothing; then there is no statement. -#}
{% macro ingest_raw_files() %}
    {{ return(adapter.dispatch('ingest_raw_files')()) }}
{% endmacro %}


{#- The parsed files stay beside the database of plain dbt, whose views read them. -#}
{% macro duckdb__ingest_raw_files() %}
    {%- if flags.WHICH in ['build', 'run', 'retry'] and target.name == 'dev' -%}
    select ingest_raw_files(
        '{{ (var("raw_path") or "data/raw") | replace("'", "''") }}',
        '{{ (target.path ~ ".parsed") | replace("'", "''") }}',
        '{{ "nothing" if flags.FULL_REFRESH else "stamps" }}'
    )
    {%- endif -%}
{% endmacro %}
