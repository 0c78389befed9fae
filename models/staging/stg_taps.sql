select
    event_date as tap_date,
    user_id,
    value_prop,
    position
from {{ ref('base_taps') }}
where quarantine_reason is null
