-- No row vanishes: what Python counted in each raw file is what the base tables hold,
-- and each of these rows is either kept or listed in the quarantine, with a line that
-- the file has. The engine's own count would not do: a line that its reader loses is
-- missing on both sides.
with

raw_files as (
    select * from {{ ref('raw_files') }}
),

base_rows as (
    select
        'prints' as source_name,
        file_number,
        quarantine_reason
    from {{ ref('base_prints') }}
    union all
    select
        'taps' as source_name,
        file_number,
        quarantine_reason
    from {{ ref('base_taps') }}
    union all
    select
        'pays' as source_name,
        file_number,
        quarantine_reason
    from {{ ref('base_pays') }}
),

base_counts as (
    select
        source_name,
        file_number,
        count(*) as base_rows
    from base_rows
    group by source_name, file_number
),

listed_counts as (
    select
        source_name,
        file_name,
        count(*) as listed_rows,
        max(line_number) as last_listed_line
    from {{ ref('quarantined_rows') }}
    group by source_name, file_name
),

reconciliation as (
    select * from {{ ref('row_reconciliation') }}
),

compared as (
    select
        coalesce(raw_files.source_name, base_counts.source_name) as source_name,
        coalesce(raw_files.file_number, base_counts.file_number) as file_number,
        raw_files.file_name,
        raw_files.row_count as rows_counted_by_python,
        coalesce(base_counts.base_rows, 0) as rows_in_base,
        coalesce(listed_counts.listed_rows, 0) as rows_in_quarantine,
        coalesce(listed_counts.last_listed_line, 0) as last_line_in_quarantine,
        raw_files.line_count as lines_counted_by_python,
        reconciliation.rows_read,
        reconciliation.rows_kept,
        reconciliation.rows_quarantined
    from raw_files
    full outer join base_counts
        on
            raw_files.source_name = base_counts.source_name
            and raw_files.file_number = base_counts.file_number
    left join listed_counts
        on
            raw_files.source_name = listed_counts.source_name
            and raw_files.file_name = listed_counts.file_name
    left join reconciliation
        on
            raw_files.source_name = reconciliation.source_name
            and raw_files.file_name = reconciliation.file_name
),

differences as (
    select * from compared
    where
        not coalesce(
            rows_counted_by_python = rows_in_base
            and rows_counted_by_python = rows_read
            and rows_read = rows_kept + rows_quarantined
            and rows_quarantined = rows_in_quarantine
            and last_line_in_quarantine <= lines_counted_by_python,
            false
        )
)

select * from differences
