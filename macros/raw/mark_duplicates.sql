{#- Every valid row but the first with the same day, user, value prop and position is a
    redelivery. Few rows share a hash with another, so only those are put in order. -#}
{% macro mark_duplicates(relation) %}
    update {{ relation }} as base
    set
        quarantine_reason = 'duplicate',
        line_number = copies.line_number
    from (
        select
            numbered.*,
            row_number() over (
                partition by event_date, user_id, value_prop, position
                order by file_number, line_number
            ) as copy_number
        from ({{ suspected_duplicates(relation) }}) as numbered
    ) as copies
    where
        base.rowid = copies.row_position
        and copies.copy_number > 1
{% endmacro %}


{% macro suspected_duplicates(relation) %}
    select
        suspects.rowid as row_position,
        suspects.file_number,
        coalesce(suspects.line_number, suspects.rowid - firsts.first_position + 1)
            as line_number,
        suspects.event_date,
        suspects.user_id,
        suspects.value_prop,
        suspects.position
    from {{ relation }} as suspects
    inner join first_positions as firsts
        on suspects.file_number = firsts.file_number
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
{% endmacro %}


{#- The text of a valid line is not kept, but for hard lines, so that of a redelivered one
    is looked up: file by file, and only in files that hold any. -#}
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
        and base.raw_text is null
{% endmacro %}
