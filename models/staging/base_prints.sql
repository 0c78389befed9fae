{{ parsed_events('prints') }}
