{#- Every line of a source's raw files, in the order of files and lines.

    Columns: file_number (integer), line_number (bigint; null where the engine numbers
    the line later), line (varchar; null for a blank line), is_readable (boolean; false
    for a line of bytes that no parser should see). Reads exactly the files that
    raw_files lists. -#}
{% macro raw_lines(source_name) %}
    {{ return(adapter.dispatch('raw_lines')(source_name)) }}
{% endmacro %}


{% macro duckdb__raw_lines(source_name) %}
    -- depends_on: {{ source('raw', source_name) }}
    select
        cast(file_index + 1 as integer) as file_number,
        cast(null as bigint) as line_number,
        line,
        true as is_readable
    from read_csv(getvariable('raw_paths'), {{ line_reader_options() }})

    union all

    select
        listed.file_number,
        hard.line_number,
        hard.raw_text as line,
        hard.is_readable
    from {{ ref('raw_files') }} as listed
    cross join unnest(listed.hard_lines) as unnested (hard)
    where listed.source_name = '{{ source_name }}'
{% endmacro %}


{#- One column, the whole line. raw_files sees to it that the files hold neither the
    delimiter nor a carriage return, and no line that is longer. Any other new_line
    loses rows at the edge of a buffer. -#}
{% macro line_reader_options() %}
    columns = {line: 'VARCHAR'}, header = false, auto_detect = false,
        delim = chr(1), quote = '', escape = '', comment = '', new_line = '\n',
        strict_mode = false, max_line_size = 4194304, buffer_size = 33554432,
        hive_partitioning = false
{%- endmacro %}


{#- Pre-hooks of a base model: hand the reader what it takes as constants, the list of
    files, the last day that an event may have, and where each CSV has its columns. -#}
{% macro prepare_base_table(source_name) %}
    {{ return(adapter.dispatch('prepare_base_table')(source_name)) }}
{% endmacro %}


{% macro duckdb__prepare_base_table(source_name) %}
    set variable raw_paths = (
        select list(listed.read_path order by listed.file_number)
        from {{ ref('raw_files') }} as listed
        where listed.source_name = '{{ source_name }}'
    );
    set variable last_allowed_day = (
        select parameters.run_date + 1 from {{ ref('run_parameters') }} as parameters
    );
    set variable pays_layouts = (
        select
            list({
                'column_count': len(columns),
                'pay_date': list_position(columns, 'pay_date'),
                'total': list_position(columns, 'total'),
                'user_id': list_position(columns, 'user_id'),
                'value_prop': list_position(columns, 'value_prop')
            } order by file_number)
        from {{ ref('raw_files') }}
        where source_name = 'pays'
    )
{% endmacro %}
