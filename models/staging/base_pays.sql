-- The valid payments of each file. The date of the run is no part of a parsed file, so
-- days that are too late are left out here.
select
    file_number,
    line_number,
    event_date,
    user_id,
    value_prop,
    amount
from {{ raw_rows('pays') }}
where event_date <= {{ latest_day() }}
