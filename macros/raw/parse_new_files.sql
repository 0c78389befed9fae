{#- Pre-hook of the models that read parsed rows: parse those raw files of a source that
    no run has parsed yet, each into a Parquet file of its own.

    Where an engine shares the parsed files of another, it has nothing to do here. -#}
{% macro parse_new_files(source_name) %}
    {{ return(adapter.dispatch('parse_new_files')(source_name)) }}
{% endmacro %}


{% macro duckdb__parse_new_files(source_name) %}
    {% if execute %}
        {% for file in run_query(files_to_parse(source_name)).rows %}
            {% do parse_file(source_name, file) %}
        {% endfor %}
    {% endif %}
    select 1
{% endmacro %}


{% macro files_to_parse(source_name) %}
    select
        file_number,
        file_path,
        read_path,
        parsed_path,
        stamp,
        header_text,
        len(hard_lines) > 0 as has_hard_lines,
        len(columns) as column_count,
        coalesce(list_position(columns, 'pay_date'), 0) as place_of_pay_date,
        coalesce(list_position(columns, 'total'), 0) as place_of_total,
        coalesce(list_position(columns, 'user_id'), 0) as place_of_user_id,
        coalesce(list_position(columns, 'value_prop'), 0) as place_of_value_prop
    from {{ ref('raw_files').render() }}
    where source_name = '{{ source_name }}' and not is_parsed
    order by file_number
{% endmacro %}


{#- The draft holds the file's lines in their order, with a row of nulls for a blank one.
    Few files hold a row twice, or a header in their midst; only those are written again. -#}
{% macro parse_file(source_name, file) %}
    {% set draft = file['parsed_path'] ~ '.unfinished' %}
    {% set lines = parsed_payments(file) if source_name == 'pays'
        else parsed_events(source_name, file) %}
    {% do run_query(copy_to(draft, lines)) %}
    {% set repeats = run_query(repeated_rows(source_name, draft)) %}
    {% if repeats.rows[0][0] %}
        {% set first_draft, draft = draft, draft ~ '.marked' %}
        {% do run_query(copy_to(draft, rows_with_repeats_marked(source_name, first_draft))) %}
    {% endif %}
    {% do run_query(
        copy_to(file['parsed_path'] ~ '.counts.unfinished', counts_of_draft(source_name, draft))
    ) %}
    {% do run_query(
        "select keep_parsed_file(" ~ as_literal(draft) ~ ", "
        ~ as_literal(file['parsed_path']) ~ ", " ~ as_literal(file['file_path'])
        ~ ", '" ~ file['stamp'] ~ "')"
    ) %}
{% endmacro %}


{% macro copy_to(path, rows) %}
    copy ({{ rows }}) to {{ as_literal(path) }} (format parquet, compression zstd)
{% endmacro %}
