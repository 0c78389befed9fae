{#- The rows of a source's parsed files, with the place of each: file_number, line_number,
    and the columns of the parsed files. Rows that stand for blank lines and headers are
    left out. -#}
{% macro parsed_rows(source_name) %}
    {{ return(adapter.dispatch('parsed_rows')(source_name)) }}
{% endmacro %}


{% macro duckdb__parsed_rows(source_name) %}
    -- depends_on: {{ source('raw', source_name) }}
    -- depends_on: {{ ref('raw_files') }}
    select
        cast(file_index + 1 as integer) as file_number,
        coalesce(line_number, file_row_number + 1) as line_number,
        * exclude (line_number, file_row_number)
    from {{ parquet_rows(parsed_paths(source_name), is_numbered=true) }}
    where coalesce(quarantine_reason <> 'header', event_date is not null)
{% endmacro %}


{#- In the order of the files. -#}
{% macro parsed_paths(source_name, kind='') %}
    {%- set paths = [] -%}
    {%- if execute and load_relation(ref('raw_files')) is not none -%}
        {%- set found = run_query(
            "select parsed_path from " ~ ref('raw_files').render() ~ " where source_name = '"
            ~ source_name ~ "' order by file_number"
        ) -%}
        {%- for path in found.columns[0].values() -%}
            {%- do paths.append(path ~ kind) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(paths) }}
{% endmacro %}


{#- The rows of a source, judged by all rules but those that need another file. -#}
{% macro rows_by_file(source_name) %}
    -- depends_on: {{ ref('run_parameters') }}
    select
        parsed.file_number,
        parsed.line_number,
        parsed.event_date,
        parsed.user_id,
        parsed.value_prop,
        parsed.{{ 'amount' if source_name == 'pays' else 'position' }},
        case
            when {{ is_too_late('parsed') }} then 'out_of_range'
            else parsed.quarantine_reason
        end as quarantine_reason,
        parsed.raw_text as unusual_text
        {%- if source_name != 'pays' %},
        parsed.unknown_keys
        {%- endif %}
    from ({{ parsed_rows(source_name) }}) as parsed
{% endmacro %}


{#- The date of the run is no part of a parsed file, so a day that is too late is told
    where that is read. A clock in another time zone may be a day ahead of the run. The
    day is a constant and no join: a join would keep the engine from skipping the files
    that hold none of the days a query asks for. -#}
{% macro is_too_late(rows) -%}
    {%- set run_date = '2000-01-01' -%}
    {%- if execute and load_relation(ref('run_parameters')) is not none -%}
        {%- set run_date = run_query(
            "select cast(run_date as " ~ type_string() ~ ") from " ~ ref('run_parameters').render()
        ).rows[0][0] -%}
    {%- endif -%}
    {{ rows }}.event_date > date '{{ run_date }}' + 1
                and coalesce({{ rows }}.quarantine_reason, 'duplicate') = 'duplicate'
{%- endmacro %}


{#- The text of a row's line. Parsed files keep only those that differ from what an app
    writes for the values if it writes no blank and no quote that it need not. -#}
{% macro raw_text_of(source_name) -%}
    coalesce(
            unusual_text,
            {{ line_of_values(source_name) }}
        )
{%- endmacro %}


{% macro line_of_values(source_name) -%}
    {%- set day = 'cast(event_date as ' ~ type_string() ~ ')' -%}
    {%- set user = 'cast(user_id as ' ~ type_string() ~ ')' -%}
    {%- if source_name == 'pays' -%}
        {{ day }} || ',' || cast(amount as {{ type_string() }}) || ','
            || {{ user }} || ',' || value_prop
    {%- else -%}
        '{"day":"' || {{ day }} || '","event_data":{"position":'
            || cast(position as {{ type_string() }}) || ',"value_prop":"'
            || value_prop || '"},"user_id":' || {{ user }} || '}'
    {%- endif -%}
{%- endmacro %}
