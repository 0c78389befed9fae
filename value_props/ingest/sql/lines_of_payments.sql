-- Every line of a pays file, in the order of the file. A line is plain here if its
-- values, written as text, equal its fields and lie within the limits. The text of a
-- line is kept if the values do not determine it. Other lines, except blank lines and
-- the header, are judged rule by rule (judged_payments.sql).
with

fields as (
    select
        line,
        csv_fields(line) as field_list,
        from_json($columns, '["VARCHAR"]') as names
    from lines_of($read_path, $compression)
),

texts as (
    select
        line,
        names,
        len(field_list) = len(names) as is_well_formed,
        field_list[list_position(names, 'pay_date')] as day_text,
        field_list[list_position(names, 'total')] as total_text,
        field_list[list_position(names, 'user_id')] as user_text,
        field_list[list_position(names, 'value_prop')] as value_prop
    from fields
),

typed as (
    select
        *,
        try_cast(day_text as date) as event_date,
        try_cast(user_text as bigint) as user_id,
        try_cast(total_text as decimal(18, 2)) as amount
    from texts
),

measured as (
    select
        *,
        coalesce(
            is_well_formed
            and is_allowed_date(event_date)
            and is_allowed_user(user_id)
            and is_allowed_amount(amount)
            and is_iso_day(day_text, event_date)
            and reads_back(user_text, user_id)
            and reads_back(total_text, amount)
            and value_prop >= '!',
            false
        ) as is_plain
    from typed
)

select
    event_date,
    user_id,
    value_prop,
    amount,
    is_plain,
    -- The quarantine shows the text of a row that is valid here but too late for a run.
    case
        when
            is_plain
            and not contains(line, '"')
            and names = ['pay_date', 'total', 'user_id', 'value_prop']
            then null
        else line
    end as raw_text
from measured
