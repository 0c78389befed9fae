-- The valid rows of each file by itself: redeliveries across files are among them. The
-- date of the run is no part of a parsed file, so days that are too late are left out
-- here.
select
    file_number,
    line_number,
    event_date,
    user_id,
    value_prop,
    position
from {{ raw_rows('prints') }}
where event_date <= {{ latest_day() }}
