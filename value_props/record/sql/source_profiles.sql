-- Counts and dates of the raw files, one row per file.
with

reasons as (
    select
        source_name,
        file_name,
        quarantine_reason,
        count(*) as row_count
    from quality.quarantined_rows
    group by source_name, file_name, quarantine_reason
),

by_reason as (
    select
        source_name,
        file_name,
        map_from_entries(
            list((quarantine_reason, row_count) order by quarantine_reason)
        ) as quarantined_by_reason,
        sum(row_count) filter (where quarantine_reason = 'missing_field') as missing
    from reasons
    group by source_name, file_name
),

drift as (
    select
        source_name,
        file_name,
        count(*) as unknown_fields
    from quality.schema_drift
    group by source_name, file_name
)

select
    $run_id as run_id,
    counts.source_name,
    counts.file_name,
    files.size_bytes,
    files.sha256,
    counts.rows_read,
    counts.rows_kept,
    counts.rows_up_to_cut_off,
    counts.rows_quarantined,
    coalesce(by_reason.quarantined_by_reason, map([], [])) as quarantined_by_reason,
    counts.first_date,
    counts.last_date,
    files.distinct_users,
    coalesce(by_reason.missing, 0) as rows_with_missing_field,
    coalesce(drift.unknown_fields, 0) as unknown_fields
from quality.row_reconciliation as counts
inner join staging.raw_files as files
    on counts.source_name = files.source_name and counts.file_name = files.file_name
left join by_reason
    on
        counts.source_name = by_reason.source_name
        and counts.file_name = by_reason.file_name
left join drift
    on counts.source_name = drift.source_name and counts.file_name = drift.file_name
order by counts.source_name, counts.file_name
