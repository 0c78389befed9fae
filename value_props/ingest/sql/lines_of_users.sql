-- The lines of the raw files that belong to some users. A valid row has a user_id. For
-- a rejected line the user is read from its text.
with

users as (
    select unnest(from_json($users, '["BIGINT"]')) as user_id
),

valid_rows as (
    select
        'prints' as source_name,
        file_number,
        line_number,
        user_id
    from raw.prints
    union all
    select
        'taps' as source_name,
        file_number,
        line_number,
        user_id
    from raw.taps
    union all
    select
        'pays' as source_name,
        file_number,
        line_number,
        user_id
    from raw.pays
),

rejected_lines as (
    select
        lines.source_name,
        lines.file_number,
        lines.line_number,
        case
            when lines.source_name = 'pays'
                then csv_fields(lines.raw_text)[list_position(files.columns, 'user_id')]
            else regexp_extract(lines.raw_text, '"user_id"\s*:\s*"?\s*([0-9]+)', 1)
        end as user_text
    from raw.rejected_lines as lines
    inner join raw.files as files
        on
            lines.source_name = files.source_name
            and lines.file_number = files.file_number
),

rows_of_users as (
    select
        source_name,
        file_number,
        line_number
    from valid_rows
    where user_id in (select users.user_id from users)
    union all
    select
        source_name,
        file_number,
        line_number
    from rejected_lines
    where try_cast(user_text as bigint) in (select users.user_id from users)
)

select
    files.file_path,
    list(rows_of_users.line_number order by rows_of_users.line_number) as line_numbers
from rows_of_users
inner join raw.files as files
    on
        rows_of_users.source_name = files.source_name
        and rows_of_users.file_number = files.file_number
group by files.source_name, files.file_number, files.file_path
order by files.source_name, files.file_number
