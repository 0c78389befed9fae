-- The lines of a pays file that are not plain (`odd_lines`): their typed values, and
-- the first rule that each bad line breaks.
with

fields as (
    select
        *,
        csv_fields(line) as field_list,
        from_json($columns, '["VARCHAR"]') as names
    from odd_lines
),

texts as (
    select
        line_number,
        line,
        coalesce(is_readable and len(field_list) = len(names), false) as is_well_formed,
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
        -- The cast rounds half away from zero. It is null if the number has too many
        -- digits.
        try_cast(total_text as decimal(18, 2)) as amount
    from texts
),

judged as (
    select
        *,
        case
            when not is_well_formed then 'malformed'
            when
                is_blank(day_text) or is_blank(total_text)
                or is_blank(user_text) or is_blank(value_prop)
                then 'missing_field'
            when
                not is_iso_day(day_text, event_date)
                or not regexp_full_match(user_text, '[0-9]+')
                or not regexp_full_match(total_text, '[+-]?[0-9]+([.][0-9]+)?')
                then 'bad_type'
            -- The limits apply to the number as written, before it is rounded.
            when
                not is_allowed_date(event_date)
                or not coalesce(is_allowed_user(user_id), false)
                or not coalesce(is_allowed_amount(amount), false)
                or regexp_matches(total_text, '^-.*[1-9]')
                or regexp_full_match(total_text, '[+]?0*10{12}[.][0-9]*[1-9][0-9]*')
                then 'out_of_range'
        end as quarantine_reason
    from typed
)

select
    line_number,
    event_date,
    user_id,
    value_prop,
    amount,
    quarantine_reason,
    line as raw_text,
    -- The header of a CSV file names its unknown columns, so single rows have none.
    cast(null as varchar[]) as unknown_keys,
    case
        when quarantine_reason = 'missing_field'
            then without_nulls(
                [
                    case when is_blank(day_text) then 'pay_date' end,
                    case when is_blank(total_text) then 'total' end,
                    case when is_blank(user_text) then 'user_id' end,
                    case when is_blank(value_prop) then 'value_prop' end
                ]
            )
    end as missing_fields
from judged
