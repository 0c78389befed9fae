-- The sources of which too many rows are quarantined, each with the reasons.
with

reasons as (
    select
        source_name,
        quarantine_reason,
        count(*) as row_count
    from quality.quarantined_rows
    -- A line that was delivered twice does not count into the rate.
    where quarantine_reason <> 'duplicate'
    group by source_name, quarantine_reason
),

reasons_of_source as (
    select
        source_name,
        string_agg(
            quarantine_reason || ' ' || row_count, ', ' order by row_count desc
        ) as reasons
    from reasons
    group by source_name
)

select
    rates.*,
    reasons_of_source.reasons
from quality.quarantine_rates as rates
inner join reasons_of_source
    on rates.source_name = reasons_of_source.source_name
where rates.is_too_high
order by rates.source_name
