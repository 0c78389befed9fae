-- The raw files as they were found, hashed and counted, one row a file.
select *
from {{ raw_file_list() }}
