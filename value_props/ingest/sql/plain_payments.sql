-- The rows of a pays file in which every line is as the app writes it. Any other line
-- stops the query, and the file is read line by line (lines_of_payments.sql).
with

texts as (
    select
        pay_date as day_text,
        total as total_text,
        user_id as user_text,
        value_prop
    from read_csv(
        $read_path,
        columns = {
            pay_date: 'VARCHAR',
            total: 'VARCHAR',
            user_id: 'VARCHAR',
            value_prop: 'VARCHAR'
        },
        header = true, auto_detect = false, delim = ',', quote = '', escape = '',
        comment = '', new_line = '\n', encoding = 'utf-8', nullstr = '',
        null_padding = false, strict_mode = true, ignore_errors = false,
        max_line_size = 1048576, compression = $compression,
        hive_partitioning = false, union_by_name = false
    )
),

typed as (
    select
        *,
        try_cast(day_text as date) as event_date,
        try_cast(user_text as bigint) as user_id,
        try_cast(total_text as decimal(18, 2)) as amount
    from texts
)

select
    case
        when
            is_iso_day(day_text, event_date)
            and is_allowed_date(event_date)
            and reads_back(user_text, user_id)
            and is_allowed_user(user_id)
            and reads_back(total_text, amount)
            and is_allowed_amount(amount)
            and value_prop >= '!'
            then event_date
        else error('a line that is not plain')
    end as event_date,
    user_id,
    value_prop,
    amount,
    -- Null, because the line number follows from the row's position after the header.
    cast(null as bigint) as line_number,
    cast(0 as integer) as content_number
from typed
