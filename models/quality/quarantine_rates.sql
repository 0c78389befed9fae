-- The share of each source's rows that is quarantined. Redelivered rows are not bad
-- rows, so they do not count as quarantined.
with

limits as (
    select max_quarantine_rate from {{ ref('int_run_window') }}
),

counted as (
    select
        source_name,
        cast(sum(rows_read) as bigint) as rows_read,
        cast(sum(rows_quarantined - rows_duplicate) as bigint) as rows_bad
    from {{ ref('row_reconciliation') }}
    group by source_name
),

rated as (
    select
        counted.source_name,
        counted.rows_read,
        counted.rows_bad,
        case
            when counted.rows_read = 0 then cast(0 as double)
            else cast(counted.rows_bad as double) / counted.rows_read
        end as quarantine_rate,
        limits.max_quarantine_rate,
        counted.rows_bad > limits.max_quarantine_rate * counted.rows_read as is_too_high
    from counted
    cross join limits
)

select * from rated
