{#- The raw files of the run as Python finds and counts them: a reader's own count can't
    show a line that the reader loses. `dbt build --full-refresh` reads and parses all of
    them again. -#}
{% macro listed_raw_files() %}
    {{ return(adapter.dispatch('listed_raw_files')()) }}
{% endmacro %}


{% macro duckdb__listed_raw_files() %}
    {%- set meta = model.config.meta -%}
    {%- set trust = 'nothing' if flags.FULL_REFRESH else 'stamps' -%}
    select
        unnest(
            from_json(
                find_raw_files(
                    {{ as_literal(meta.raw_path) }},
                    {{ as_literal(meta.copies_path) }},
                    {{ as_literal(meta.parsed_path) }},
                    '{{ trust }}'
                ),
                '[{
                    "source_name": "VARCHAR", "file_number": "INTEGER",
                    "file_name": "VARCHAR", "file_path": "VARCHAR",
                    "read_path": "VARCHAR", "parsed_path": "VARCHAR",
                    "is_parsed": "BOOLEAN", "stamp": "VARCHAR", "size_bytes": "BIGINT",
                    "modified_at": "TIMESTAMP", "sha256": "VARCHAR",
                    "content_sha256": "VARCHAR", "hash_source": "VARCHAR",
                    "line_count": "BIGINT", "row_count": "BIGINT",
                    "header_line_number": "BIGINT", "header_text": "VARCHAR",
                    "columns": ["VARCHAR"],
                    "hard_lines": [{"line_number": "BIGINT", "raw_text": "VARCHAR",
                                    "is_readable": "BOOLEAN"}]
                }]'
            ),
            max_depth := 2
        )
{% endmacro %}


{#- Parquet files, with every option that changes what is read: no folder `key=value` above a
    file is a column, and no character of a path is a wildcard. -#}
{% macro parquet_rows(paths, is_numbered=false) -%}
    read_parquet(
            [{% for path in paths %}{{ as_pattern(path) }}{{ ', ' if not loop.last }}{% endfor %}],
            hive_partitioning = false, union_by_name = false,
            file_row_number = {{ 'true' if is_numbered else 'false' }}
        )
{%- endmacro %}


{#- A path as a pattern that matches this file alone: its wildcards are in brackets. -#}
{% macro as_pattern(path) -%}
    {{ as_literal(modules.re.sub('([*?\\[])', '[\\1]', path)) }}
{%- endmacro %}


{% macro as_literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}
