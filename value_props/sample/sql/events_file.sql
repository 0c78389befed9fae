-- The lines of the prints file or the taps file, in order. $events names the table.
select
    days.day,
    { 'position': events.position, 'value_prop': value_props.value_prop } as event_data,
    user_id_of(events.user_rank) as user_id
from query_table($events) as events
inner join days
    on events.day_number = days.day_number
inner join value_props
    on events.prop = value_props.prop
order by
    days.day,
    chance('time of day', events.open_id),
    events.open_id,
    events.position
