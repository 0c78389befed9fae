{#- Every valid row but the first with the same day, user, value prop and position is a
    redelivery. Few rows share a hash with another, so only those are put in order. -#}
{% macro mark_duplicates(relation) %}
    update {{ relation }} as base
    set
        quarantine_reason = 'duplicate',
        line_number = base.rowid - firsts.first_position + 1
    from (
        select
            suspects.rowid as row_position,
            suspects.file_number,
            row_number() over (
                partition by event_date, user_id, value_prop, position
                order by suspects.rowid
            ) as copy_number
        from {{ relation }} as suspects
        where
            suspects.event_date is not null
            and suspects.quarantine_reason is null
            and hash(event_date, user_id, value_prop, position) in (
                select hash(event_date, user_id, value_prop, position)
                from {{ relation }}
                where event_date is not null and quarantine_reason is null
                group by all
                having count(*) > 1
            )
    ) as copies
    inner join first_positions as firsts
        on copies.file_number = firsts.file_number
    where
        base.rowid = copies.row_position
        and copies.copy_number > 1
{% endmacro %}


{#- The text of a valid line is not kept, so that of a redelivered one is looked up:
    file by file, and only in files that hold any. -#}
{% macro add_text_of_duplicates(relation, source_name) %}
    {% set files = run_query(
        "select distinct listed.file_number, listed.read_path from " ~ relation
        ~ " as base inner join " ~ ref('raw_files') ~ " as listed"
        ~ " on base.file_number = listed.file_number"
        ~ " where listed.source_name = '" ~ source_name ~ "'"
        ~ " and base.quarantine_reason = 'duplicate'"
    ) %}
    {% for file in files.rows %}
        {% do run_query(text_of_duplicates_in(relation, file[0], file[1])) %}
    {% endfor %}
{% endmacro %}


{% macro text_of_duplicates_in(relation, file_number, read_path) %}
    update {{ relation }} as base
    set raw_text = numbered.line
    from (
        select row_number() over () as line_number, line
        from read_csv(
            '{{ read_path | replace("'", "''") }}', {{ line_reader_options() }}
        )
    ) as numbered
    where
        base.file_number = {{ file_number }}
        and base.quarantine_reason = 'duplicate'
        and base.line_number = numbered.line_number
{% endmacro %}
