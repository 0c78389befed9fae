{#- How many rows each file of a source has by day, value prop and judgement, judged like
    rows_by_file. It reads the counts that stand beside each parsed file and no row, so
    a history of months costs no more than a week. -#}
{% macro counted_rows(source_name) %}
    {{ return(adapter.dispatch('counted_rows')(source_name)) }}
{% endmacro %}


{% macro duckdb__counted_rows(source_name) %}
    -- depends_on: {{ ref('raw_files') }}
    -- depends_on: {{ ref('run_parameters') }}
    select
        '{{ source_name }}' as source_name,
        cast(counts.file_index + 1 as integer) as file_number,
        counts.event_date,
        counts.value_prop,
        case
            when {{ is_too_late('counts') }} then 'out_of_range'
            else counts.quarantine_reason
        end as quarantine_reason,
        counts.row_count,
        counts.amount,
        counts.users_in_file
    from {{ parquet_rows(parsed_paths(source_name, '.counts')) }} as counts
{% endmacro %}


{#- The counts of a draft. Only rows that are valid, or repeat a valid one, are told apart
    by day and value prop: what bad rows say there may be anything. -#}
{% macro counts_of_draft(source_name, draft) %}
    {%- set is_event = "coalesce(quarantine_reason, 'duplicate') = 'duplicate'" -%}
    select
        case when {{ is_event }} then event_date end as event_date,
        case when {{ is_event }} then value_prop end as value_prop,
        quarantine_reason,
        count(*) as row_count,
        cast(
            {{ 'sum(case when ' ~ is_event ~ ' then amount end)'
                if source_name == 'pays' else '0' }} as decimal(38, 2)
        ) as amount,
        (
            select count(distinct user_id) from {{ draft_rows(draft) }} where is_valid
        ) as users_in_file
    from {{ draft_rows(draft) }}
    where is_valid or quarantine_reason <> 'header'
    group by all
{% endmacro %}
