-- The manifest states the hash of each raw file, taken while the file was read. A file
-- that was written to since is not the one that was hashed: its size or one of its
-- times differs, or it is gone.
-- depends_on: {{ ref('base_prints') }}
-- depends_on: {{ ref('base_taps') }}
-- depends_on: {{ ref('base_pays') }}
with

stamps as (
    select
        source_name,
        file_path,
        stamp as stamp_when_hashed,
        {{ current_stamp() }} as stamp_now
    from {{ ref('raw_files') }}
)

select * from stamps
where stamp_when_hashed <> stamp_now
