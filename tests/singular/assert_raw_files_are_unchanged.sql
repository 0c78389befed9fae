-- The manifest states the hash of each raw file, computed while the file was read. If a
-- file was changed since, its size or one of its timestamps differs, or it is gone, and
-- the hash is no longer true.
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
