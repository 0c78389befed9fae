{{ parsed_events('taps') }}
