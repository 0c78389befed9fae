{#- Every line of one raw file, in the order of the lines.

    Columns: line_number (bigint; null where it is the place of the row), line (varchar;
    null for a blank line), is_readable (boolean; false for a line of bytes that no parser
    should see). -#}
{% macro raw_lines(source_name, file) %}
    select
        cast(null as bigint) as line_number,
        line,
        true as is_readable
    from read_csv(
        {{ as_pattern(file['read_path']) }},
        compression = '{{ "gzip" if file["read_path"].endswith(".gz") else "none" }}',
        {{ line_reader_options() }}
    )
    {% if file['has_hard_lines'] %}
    union all

    select
        hard.line_number,
        hard.raw_text as line,
        hard.is_readable
    from {{ ref('raw_files') }} as listed
    cross join unnest(listed.hard_lines) as unnested (hard)
    where
        listed.source_name = '{{ source_name }}'
        and listed.file_number = {{ file['file_number'] }}
    {% endif %}
{% endmacro %}


{#- One column, the whole line. raw_files sees to it that the files hold neither the
    delimiter nor a carriage return, and no line that is longer. Any other new_line
    loses rows at the edge of a buffer. -#}
{% macro line_reader_options() %}
    columns = {line: 'VARCHAR'}, header = false, auto_detect = false,
        delim = chr(1), quote = '', escape = '', comment = '', new_line = '\n',
        encoding = 'utf-8', nullstr = '', null_padding = false, strict_mode = false,
        max_line_size = 4194304, buffer_size = 33554432,
        hive_partitioning = false, union_by_name = false
{%- endmacro %}
