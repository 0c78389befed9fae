select
    base_prints.event_date as print_date,
    base_prints.user_id,
    base_prints.value_prop,
    base_prints.position
from {{ ref('base_prints') }} as base_prints
left join {{ ref('base_redeliveries') }} as redeliveries
    on
        base_prints.file_number = redeliveries.file_number
        and base_prints.line_number = redeliveries.line_number
        and redeliveries.source_name = 'prints'
where redeliveries.source_name is null
