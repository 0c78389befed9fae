-- Sources with a quarantine rate above the limit, and their reasons.
with

reasons as (
    select
        source_name,
        quarantine_reason,
        count(*) as row_count
    from quality.quarantined_rows
    -- The rate does not count lines that were delivered twice.
    where quarantine_reason <> 'duplicate'
    group by source_name, quarantine_reason
),

reasons_of_source as (
    select
        source_name,
        string_agg(
            quarantine_reason || ' ' || format('{:,}', row_count),
            ', '
            order by row_count desc
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
