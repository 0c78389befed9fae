-- Per source and file: every row that Python counted in the file was kept or quarantined.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

raw_files as (
    select * from {{ ref('raw_files') }}
),

base_rows as (
    select
        'prints' as source_name,
        file_number,
        event_date,
        quarantine_reason
    from {{ ref('base_prints') }}
    union all
    select
        'taps' as source_name,
        file_number,
        event_date,
        quarantine_reason
    from {{ ref('base_taps') }}
    union all
    select
        'pays' as source_name,
        file_number,
        event_date,
        quarantine_reason
    from {{ ref('base_pays') }}
),

counted as (
    select
        base_rows.source_name,
        base_rows.file_number,
        count(*) filter (where base_rows.quarantine_reason is null) as rows_kept,
        count(*) filter (
            where
            base_rows.quarantine_reason is null
            and base_rows.event_date <= run_window.as_of_date
        ) as rows_up_to_cut_off,
        count(base_rows.quarantine_reason) as rows_quarantined,
        count(*) filter (where base_rows.quarantine_reason = 'duplicate')
            as rows_duplicate,
        min(base_rows.event_date) filter (where base_rows.quarantine_reason is null)
            as first_date,
        max(base_rows.event_date) filter (where base_rows.quarantine_reason is null)
            as last_date
    from base_rows
    cross join run_window
    group by all
),

reconciled as (
    select
        raw_files.source_name,
        raw_files.file_name,
        raw_files.row_count as rows_read,
        coalesce(counted.rows_kept, 0) as rows_kept,
        coalesce(counted.rows_up_to_cut_off, 0) as rows_up_to_cut_off,
        coalesce(counted.rows_quarantined, 0) as rows_quarantined,
        coalesce(counted.rows_duplicate, 0) as rows_duplicate,
        counted.first_date,
        counted.last_date
    from raw_files
    left join counted
        on
            raw_files.source_name = counted.source_name
            and raw_files.file_number = counted.file_number
)

select * from reconciled
