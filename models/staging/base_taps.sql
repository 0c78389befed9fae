{{ event_rows('taps') }}
