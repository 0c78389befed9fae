-- The raw files of a run, for the inputs of its manifest.
select
    files.source_name as source,
    files.file_path as path,
    profiles.size_bytes,
    profiles.sha256,
    files.hash_source,
    files.parsed_path as parsed,
    profiles.rows_read,
    profiles.rows_kept,
    profiles.rows_up_to_cut_off,
    profiles.rows_kept - profiles.rows_up_to_cut_off as rows_after_cut_off,
    profiles.rows_quarantined,
    profiles.first_date,
    profiles.last_date,
    profiles.quarantined_by_reason
from quality.source_profiles as profiles
inner join
    staging.raw_files as files
    on profiles.source_name = files.source_name and profiles.file_name = files.file_name
where profiles.run_id = $run_id
order by files.source_name, files.file_number
