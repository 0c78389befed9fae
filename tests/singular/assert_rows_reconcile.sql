-- No row is lost: each row of a raw file is either kept, or in the quarantine with the
-- number of a line of that file. The parser does not count its own rows: the length of
-- the file proves that no byte is left over, or Python counts its lines.
with

raw_files as (
    select * from {{ ref('raw_files') }}
),

kept_rows as (
    select
        'prints' as source_name,
        file_number,
        1 as kept
    from {{ ref('base_prints') }}
    union all
    select
        'taps' as source_name,
        file_number,
        1 as kept
    from {{ ref('base_taps') }}
    union all
    select
        'pays' as source_name,
        file_number,
        1 as kept
    from {{ ref('base_pays') }}
    union all
    select
        source_name,
        file_number,
        -1 as kept
    from {{ ref('base_redeliveries') }}
),

kept_counts as (
    select
        source_name,
        file_number,
        sum(kept) as kept_rows
    from kept_rows
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
        coalesce(raw_files.source_name, kept_counts.source_name) as source_name,
        coalesce(raw_files.file_number, kept_counts.file_number) as file_number,
        raw_files.file_name,
        raw_files.row_count as rows_in_file,
        coalesce(kept_counts.kept_rows, 0) as rows_in_base,
        coalesce(listed_counts.listed_rows, 0) as rows_in_quarantine,
        coalesce(listed_counts.last_listed_line, 0) as last_line_in_quarantine,
        raw_files.line_count as lines_in_file,
        reconciliation.rows_read,
        reconciliation.rows_kept,
        reconciliation.rows_quarantined
    from raw_files
    full outer join kept_counts
        on
            raw_files.source_name = kept_counts.source_name
            and raw_files.file_number = kept_counts.file_number
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
            rows_in_file = rows_in_base + rows_in_quarantine
            and rows_in_file = rows_read
            and rows_read = rows_kept + rows_quarantined
            and rows_quarantined = rows_in_quarantine
            and last_line_in_quarantine <= lines_in_file,
            false
        )
)

select * from differences
