select
    event_date as print_date,
    user_id,
    value_prop,
    position
from {{ ref('base_prints') }}
where quarantine_reason is null
