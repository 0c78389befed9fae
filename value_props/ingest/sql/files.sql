-- The inventory of a run: one row per raw file.
create or replace table raw.files as
select unnest(
    from_json(
        $files,
        '[{
            "source_name": "VARCHAR", "file_number": "INTEGER",
            "file_name": "VARCHAR", "file_path": "VARCHAR", "parsed_path": "VARCHAR",
            "stamp": "VARCHAR", "size_bytes": "BIGINT", "modified_at": "TIMESTAMP",
            "sha256": "VARCHAR", "content_sha256": "VARCHAR", "hash_source": "VARCHAR",
            "is_plain": "BOOLEAN", "line_count": "BIGINT", "row_count": "BIGINT",
            "header_line_number": "BIGINT", "columns": ["VARCHAR"],
            "unknown_fields": [{"field_name": "VARCHAR", "row_count": "BIGINT"}],
            "distinct_users": "BIGINT"
        }]'
    ),
    max_depth := 2
)
