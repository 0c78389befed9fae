select
    event_date as payment_date,
    user_id,
    value_prop,
    amount
from {{ ref('base_pays') }}
