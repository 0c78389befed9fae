-- The warnings of a run: one row per warning. Readers see rows with the same message as
-- one warning, with the sum of their row counts.
with

empty_files as (
    select
        'empty_file' as rule,
        source_name,
        file_name as subject,
        cast(null as bigint) as row_count,
        'Raw file ' || file_name || ' (' || source_name || ') holds no row' as message
    from {{ ref('raw_files') }}
    where row_count = 0
),

unknown_value_props as (
    select
        'unknown_value_prop' as rule,
        cast(null as string) as source_name,
        activity_days.value_prop as subject,
        sum(activity_days.prints + activity_days.taps + activity_days.payments)
            as row_count,
        'Value prop "' || activity_days.value_prop
        || '" is not in the catalogue seeds/value_props.csv' as message
    from {{ ref('int_activity_days') }} as activity_days
    left join {{ ref('value_props') }} as catalogue
        on activity_days.value_prop = catalogue.value_prop
    where catalogue.value_prop is null
    group by activity_days.value_prop
),

orphan_taps as (
    select
        'orphan_taps' as rule,
        'taps' as source_name,
        iso_week || ' ' || value_prop as subject,
        orphan_taps as row_count,
        -- A message for each week and value prop would be too many to read.
        'Taps have no print, see `from marts.fct_value_prop_weeks where orphan_taps > 0`'
            as message
    from {{ ref('fct_value_prop_weeks') }}
    where orphan_taps > 0
),

short_lookbacks as (
    select
        'short_lookback' as rule,
        source_name,
        iso_week as subject,
        cast(null as bigint) as row_count,
        -- Each source covers the last days, so every source covers the fewest.
        'The lookback of ' || iso_week
        || ' begins before the data does: every source covers '
        || cast(min(days_covered) over (partition by iso_week) as string) || ' of its '
        || cast(days_in_lookback as string)
        || ' days, see `from quality.lookback_coverage`' as message
    from {{ ref('lookback_coverage') }}
    where days_covered < days_in_lookback
),

drift as (
    select
        'schema_drift' as rule,
        source_name,
        file_name || ' ' || field_name as subject,
        row_count,
        'Unknown field in ' || source_name || ': ' || file_name || ' ' || field_name
            as message
    from {{ ref('schema_drift') }}
),

all_warnings as (
    select * from empty_files
    union all
    select * from unknown_value_props
    union all
    select * from orphan_taps
    union all
    select * from short_lookbacks
    union all
    select * from drift
)

select
    cast(rule as string) as rule,
    cast(source_name as string) as source_name,
    cast(subject as string) as subject,
    cast(row_count as bigint) as row_count,
    cast(message as string) as message
from all_warnings
