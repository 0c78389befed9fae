-- Number of rows of each file, day and value prop, by quarantine reason; null for kept
-- rows. Models that need no single rows read these counts, so they stay fast as history
-- grows.
with

counts_by_file as (
    select
        row_counts.source_name,
        row_counts.file_number,
        row_counts.event_date,
        row_counts.value_prop,
        case
            when row_counts.event_date > {{ latest_day() }} then 'out_of_range'
            else row_counts.quarantine_reason
        end as quarantine_reason,
        row_counts.row_count,
        row_counts.amount
    from {{ raw_rows('row_counts') }} as row_counts
),

redelivered as (
    select
        source_name,
        file_number,
        event_date,
        value_prop,
        count(*) as row_count
    from {{ ref('base_redeliveries') }}
    group by source_name, file_number, event_date, value_prop
),

without_redelivered as (
    select
        counts_by_file.source_name,
        counts_by_file.file_number,
        counts_by_file.event_date,
        counts_by_file.value_prop,
        counts_by_file.quarantine_reason,
        counts_by_file.row_count - coalesce(redelivered.row_count, 0) as row_count,
        counts_by_file.amount
    from counts_by_file
    left join redelivered
        on
            counts_by_file.source_name = redelivered.source_name
            and counts_by_file.file_number = redelivered.file_number
            and counts_by_file.event_date = redelivered.event_date
            and counts_by_file.value_prop = redelivered.value_prop
            and counts_by_file.quarantine_reason is null
),

all_counts as (
    select * from without_redelivered
    union all
    select
        source_name,
        file_number,
        event_date,
        value_prop,
        'duplicate' as quarantine_reason,
        row_count,
        cast(0 as decimal(38, 2)) as amount
    from redelivered
)

select
    cast(source_name as string) as source_name,
    file_number,
    event_date,
    value_prop,
    cast(quarantine_reason as string) as quarantine_reason,
    cast(row_count as bigint) as row_count,
    cast(amount as decimal(38, 2)) as amount
from all_counts
where row_count > 0
