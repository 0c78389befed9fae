{#- How many rows of a draft may repeat an earlier one: of events those whose key has the
    hash of another, of payments those that look like the header beyond the header. -#}
{% macro repeated_rows(source_name, draft) %}
    {%- if source_name == 'pays' -%}
    select greatest(count(*) - 1, 0)
    from {{ draft_rows(draft) }}
    where quarantine_reason = 'header'
    {%- else -%}
    select count(*) from ({{ repeated_hashes(draft) }})
    {%- endif -%}
{% endmacro %}


{#- The rows of a draft, numbered, with repeats named for what they are: of equal events
    every one but the first is a redelivery, and only the first header is one; a later
    one has no date in its place. -#}
{% macro rows_with_repeats_marked(source_name, draft) %}
with

numbered as (
    select * replace (coalesce(line_number, file_row_number + 1) as line_number)
    from {{ draft_rows(draft) }}
    -- A blank line may hold the place of one that comes with its number.
    where is_valid or quarantine_reason is not null
),

suspects as (
    select *
    from numbered
    {% if source_name == 'pays' -%}
    where quarantine_reason = 'header'
    {%- else -%}
    where
        is_valid
        and hash(event_date, user_id, value_prop, position)
        in ({{ repeated_hashes(draft) }})
    {%- endif %}
),

repeats as (
    select line_number
    from suspects
    qualify
        row_number() over (
            partition by {{ repeat_key(source_name) }}
            order by line_number
        ) > 1
)

select
    numbered.* exclude (is_valid, file_row_number)
    replace (
        case
            when repeats.line_number is not null
                then '{{ "bad_type" if source_name == "pays" else "duplicate" }}'
            else numbered.quarantine_reason
        end as quarantine_reason
    )
from numbered
left join repeats
    on numbered.line_number = repeats.line_number
{% endmacro %}


{% macro repeat_key(source_name) -%}
    {{ 'quarantine_reason' if source_name == 'pays'
        else 'event_date, user_id, value_prop, position' }}
{%- endmacro %}


{% macro draft_rows(draft) -%}
    (
        select
            *,
            event_date is not null and quarantine_reason is null as is_valid
        from {{ parquet_rows([draft], is_numbered=true) }}
    )
{%- endmacro %}


{#- Few rows share a hash with another, so only those are put in order. -#}
{% macro repeated_hashes(draft) -%}
    select hash(event_date, user_id, value_prop, position)
    from {{ draft_rows(draft) }}
    where is_valid
    group by all
    having count(*) > 1
{%- endmacro %}
