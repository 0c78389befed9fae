-- Keys and columns of the raw files that no rule knows. They are tolerated; that they
-- came is worth knowing.
with

raw_files as (
    select * from {{ ref('raw_files') }}
),

unknown_keys as (
    {{ unnested_keys('prints', ref('base_prints')) }}
    union all
    {{ unnested_keys('taps', ref('base_taps')) }}
),

counted_keys as (
    select
        source_name,
        file_number,
        field_name,
        count(*) as row_count
    from unknown_keys
    group by source_name, file_number, field_name
),

named_keys as (
    select
        counted_keys.source_name,
        raw_files.file_name,
        counted_keys.field_name,
        counted_keys.row_count
    from counted_keys
    inner join raw_files
        on
            counted_keys.source_name = raw_files.source_name
            and counted_keys.file_number = raw_files.file_number
),

unknown_columns as (
    {{ unknown_pays_columns() }}
),

all_drift as (
    select * from named_keys
    union all
    select * from unknown_columns
)

select
    cast(source_name as string) as source_name,
    file_name,
    field_name,
    row_count
from all_drift
