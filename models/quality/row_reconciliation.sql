-- Per source and file: the rows that Python counted, and those kept and quarantined.
-- They must add up.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

raw_files as (
    select * from {{ ref('raw_files') }}
),

row_counts as (
    select * from {{ ref('stg_row_counts') }}
),

counted as (
    select
        row_counts.source_name,
        row_counts.file_number,
        sum(
            case when row_counts.quarantine_reason is null then row_counts.row_count end
        ) as rows_kept,
        sum(
            case
                when
                    row_counts.quarantine_reason is null
                    and row_counts.event_date <= run_window.as_of_date
                    then row_counts.row_count
            end
        ) as rows_up_to_cut_off,
        sum(
            case
                when row_counts.quarantine_reason is not null then row_counts.row_count
            end
        ) as rows_quarantined,
        sum(
            case
                when row_counts.quarantine_reason = 'duplicate' then row_counts.row_count
            end
        ) as rows_duplicate,
        min(case when row_counts.quarantine_reason is null then row_counts.event_date end)
            as first_date,
        max(case when row_counts.quarantine_reason is null then row_counts.event_date end)
            as last_date
    from row_counts
    cross join run_window
    group by row_counts.source_name, row_counts.file_number
),

reconciled as (
    select
        raw_files.source_name,
        raw_files.file_name,
        raw_files.row_count as rows_read,
        cast(coalesce(counted.rows_kept, 0) as bigint) as rows_kept,
        cast(coalesce(counted.rows_up_to_cut_off, 0) as bigint) as rows_up_to_cut_off,
        cast(coalesce(counted.rows_quarantined, 0) as bigint) as rows_quarantined,
        cast(coalesce(counted.rows_duplicate, 0) as bigint) as rows_duplicate,
        counted.first_date,
        counted.last_date
    from raw_files
    left join counted
        on
            raw_files.source_name = counted.source_name
            and raw_files.file_number = counted.file_number
)

select * from reconciled
