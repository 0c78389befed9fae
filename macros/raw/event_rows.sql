{#- Every row of prints or taps, with the rule that it breaks: those of rows_by_file, and
    that an earlier file holds the event already. -#}
{% macro event_rows(source_name) %}
with

rows_by_file as (
    {{ rows_by_file(source_name) }}
),

redeliveries as (
    select * from {{ ref('base_redeliveries') }}
    where source_name = '{{ source_name }}'
),

marked as (
    select
        rows_by_file.file_number,
        rows_by_file.line_number,
        rows_by_file.event_date,
        rows_by_file.user_id,
        rows_by_file.value_prop,
        rows_by_file.position,
        case
            when redeliveries.line_number is not null then 'duplicate'
            else rows_by_file.quarantine_reason
        end as quarantine_reason,
        rows_by_file.unusual_text,
        rows_by_file.unknown_keys
    from rows_by_file
    left join redeliveries
        on
            rows_by_file.file_number = redeliveries.file_number
            and rows_by_file.line_number = redeliveries.line_number
)

select
    file_number,
    line_number,
    event_date,
    user_id,
    value_prop,
    position,
    quarantine_reason,
    {{ raw_text_of(source_name) }} as raw_text,
    unknown_keys
from marked
{% endmacro %}
