{#- Post-hook of a base model: numbers the bad lines, marks redeliveries, and removes
    the lines that are no rows (blank ones and CSV headers). It relies on DuckDB's
    rowid, which follows files and lines in a table that was loaded in order.

    The hook runs once the table is committed: DuckDB writes a table twice that lost a row
    in the transaction that made it. -#}
{% macro finish_base_table(source_name) %}
    {{ return(adapter.dispatch('finish_base_table')(source_name)) }}
{% endmacro %}


{% macro duckdb__finish_base_table(source_name) %}
    {% if execute %}
        {% do run_query(keep_first_positions(this)) %}
        {% do run_query(number_bad_lines(this)) %}
        {% if source_name == 'pays' %}
            {% do run_query(remove_header_lines(this, source_name)) %}
        {% else %}
            {% do run_query(mark_duplicates(this)) %}
            {% do add_text_of_duplicates(this, source_name) %}
        {% endif %}
        {% do run_query(remove_blank_lines(this)) %}
    {% endif %}
    select 1
{% endmacro %}


{#- Where each file's first line stands in the table; lines that come with their number
    (hard_lines of raw_files) stand at its end. -#}
{% macro keep_first_positions(relation) %}
    create or replace temporary table first_positions as
    select file_number, min(rowid) as first_position
    from {{ relation }}
    where line_number is null
    group by file_number
{% endmacro %}


{% macro number_bad_lines(relation) %}
    update {{ relation }} as base
    set line_number = base.rowid - firsts.first_position + 1
    from first_positions as firsts
    where
        base.file_number = firsts.file_number
        and base.quarantine_reason is not null
        and base.line_number is null
{% endmacro %}


{% macro remove_header_lines(relation, source_name) %}
    delete from {{ relation }}
    where rowid in (
        select firsts.first_position + listed.header_line_number - 1
        from first_positions as firsts
        inner join {{ ref('raw_files') }} as listed
            on firsts.file_number = listed.file_number
        where listed.source_name = '{{ source_name }}'
    )
    -- A header is no payment; where this spares a row, the rows do not reconcile.
    and quarantine_reason is not null
{% endmacro %}


{#- Neither bad nor dated. -#}
{% macro remove_blank_lines(relation) %}
    delete from {{ relation }}
    where quarantine_reason is null and event_date is null
{% endmacro %}
