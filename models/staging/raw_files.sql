-- The raw files of the run, with their hashes and counts: one row per file.
select *
from {{ raw_file_list() }}
