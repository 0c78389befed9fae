{{ event_rows('prints') }}
