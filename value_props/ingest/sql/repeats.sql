-- All but the first of equal events in `numbered` are redeliveries. Only rows that
-- share a hash with another row are sorted, because these are few.
with

valid_rows as (
    select *
    from numbered
    where quarantine_reason is null
),

shared_hashes as (
    select hash(event_date, user_id, value_prop, position) as event_hash
    from valid_rows
    group by all
    having count(*) > 1
)

select
    line_number,
    event_date,
    value_prop,
    coalesce(
        raw_text,
        line_of_event(event_date, user_id, value_prop, position)
    ) as raw_text
from valid_rows
where hash(event_date, user_id, value_prop, position) in (from shared_hashes)
qualify
    row_number() over (
        partition by event_date, user_id, value_prop, position
        order by line_number
    ) > 1
