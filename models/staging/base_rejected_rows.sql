-- Every rejected line, with the first rule that it broke. These are the lines that were
-- rejected when their file was read, rows too late for this run, and rows that an
-- earlier file already contains.
with

rejected as (
    select
        source_name,
        file_number,
        line_number,
        -- Among rejected lines, only repeated events have an event_date.
        case
            when event_date > {{ latest_day() }} then 'out_of_range'
            else quarantine_reason
        end as quarantine_reason,
        raw_text
    from {{ raw_rows('rejected_lines') }}
),

late_prints as (
    select
        'prints' as source_name,
        file_number,
        line_number,
        'out_of_range' as quarantine_reason,
        {{ line_of_values('prints') }} as plain_text
    from {{ raw_rows('prints') }}
    where event_date > {{ latest_day() }}
),

late_taps as (
    select
        'taps' as source_name,
        file_number,
        line_number,
        'out_of_range' as quarantine_reason,
        {{ line_of_values('taps') }} as plain_text
    from {{ raw_rows('taps') }}
    where event_date > {{ latest_day() }}
),

late_pays as (
    select
        'pays' as source_name,
        file_number,
        line_number,
        'out_of_range' as quarantine_reason,
        {{ line_of_values('pays') }} as plain_text
    from {{ raw_rows('pays') }}
    where event_date > {{ latest_day() }}
),

redelivered as (
    select
        source_name,
        file_number,
        line_number,
        'duplicate' as quarantine_reason,
        {{ line_of_values('prints') }} as plain_text
    from {{ ref('base_redeliveries') }}
),

set_aside as (
    select * from late_prints
    union all
    select * from late_taps
    union all
    select * from late_pays
    union all
    select * from redelivered
),

all_rejected as (
    select * from rejected
    union all
    select
        set_aside.source_name,
        set_aside.file_number,
        set_aside.line_number,
        set_aside.quarantine_reason,
        coalesce(unusual_lines.raw_text, set_aside.plain_text) as raw_text
    from set_aside
    left join {{ raw_rows('unusual_lines') }} as unusual_lines
        on
            set_aside.source_name = unusual_lines.source_name
            and set_aside.file_number = unusual_lines.file_number
            and set_aside.line_number = unusual_lines.line_number
)

select * from all_rejected
