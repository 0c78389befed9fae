select
    base_taps.event_date as tap_date,
    base_taps.user_id,
    base_taps.value_prop,
    base_taps.position
from {{ ref('base_taps') }} as base_taps
left join {{ ref('base_redeliveries') }} as redeliveries
    on
        base_taps.file_number = redeliveries.file_number
        and base_taps.line_number = redeliveries.line_number
        and redeliveries.source_name = 'taps'
where redeliveries.source_name is null
