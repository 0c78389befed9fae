-- The manifest states the hash of each raw file, taken before the engine read it. A
-- file that was written to in between is not the one that was hashed: its size or its
-- time of modification differs, or it is gone. The time is compared by the second. Of a
-- file that the engine read as a copy, the original is compared.
-- depends_on: {{ ref('base_prints') }}
-- depends_on: {{ ref('base_taps') }}
-- depends_on: {{ ref('base_pays') }}
with

raw_files as (
    select * from {{ ref('raw_files') }}
),

stamps as (
    {{ raw_file_stamps() }}
),

changed as (
    select
        raw_files.source_name,
        raw_files.file_path,
        raw_files.size_bytes as size_bytes_when_hashed,
        stamps.size_bytes as size_bytes_now,
        raw_files.modified_at as modified_at_when_hashed,
        stamps.modified_at as modified_at_now
    from raw_files
    left join stamps
        on raw_files.file_path = stamps.file_path
    where
        not coalesce(
            raw_files.size_bytes = stamps.size_bytes
            and date_trunc('second', raw_files.modified_at)
            = date_trunc('second', stamps.modified_at),
            false
        )
)

select * from changed
