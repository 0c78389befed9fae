-- The raw files as they were found, hashed and counted, one row a file.
{{ listed_raw_files() }}
