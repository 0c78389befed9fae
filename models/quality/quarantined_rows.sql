-- Every rejected line, with the first rule that it broke.
with

raw_files as (
    select * from {{ ref('raw_files') }}
),

bad_lines as (
    select * from {{ ref('base_rejected_rows') }}
),

named as (
    select
        cast(bad_lines.source_name as string) as source_name,
        raw_files.file_name,
        bad_lines.line_number,
        bad_lines.quarantine_reason,
        bad_lines.raw_text
    from bad_lines
    inner join raw_files
        on
            bad_lines.source_name = raw_files.source_name
            and bad_lines.file_number = raw_files.file_number
)

select * from named
