-- One row per line of a pays file, in their order: typed values, and the first rule that a
-- bad line breaks. A blank line is a row of nulls; the header is one that breaks a rule, and
-- is left out by its number. A plain line's values read back as they were written and lie
-- within the limits; only the others are judged rule by rule.
with

lines as (
    select * from lines_of($read_path, $compression, $hard_lines)
),

fields as (
    select
        lines.*,
        csv_fields(line) as field_list,
        from_json($columns, '["VARCHAR"]') as names
    from lines
),

texts as (
    select
        line_number,
        line,
        names,
        coalesce(is_readable and len(field_list) = len(names), false) as is_well_formed,
        field_list[list_position(names, 'pay_date')] as day_text,
        field_list[list_position(names, 'total')] as total_text,
        field_list[list_position(names, 'user_id')] as user_text,
        field_list[list_position(names, 'value_prop')] as value_prop
    from fields
),

typed as (
    select
        texts.*,
        try_cast(day_text as date) as event_date,
        try_cast(user_text as bigint) as user_id,
        -- Rounds half away from zero; null where the number has too many digits.
        try_cast(total_text as decimal(18, 2)) as amount
    from texts
),

measured as (
    select
        typed.*,
        coalesce(
            is_well_formed
            and event_date >= date '2000-01-01'
            and user_id >= 1
            and amount between 0 and 1000000000000
            and is_iso_day(day_text, event_date)
            and reads_back(user_text, user_id)
            and reads_back(total_text, amount)
            and value_prop >= '!',
            false
        ) as is_plain
    from typed
),

judged as (
    select
        measured.*,
        case
            when is_plain then null
            when is_blank(line) then null
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
            -- The limits hold for the number as it is written, before it is rounded.
            when
                event_date < date '2000-01-01'
                or user_id is null or user_id < 1
                or amount is null or amount > 1000000000000
                or regexp_matches(total_text, '^-.*[1-9]')
                or regexp_full_match(total_text, '[+]?0*10{12}[.][0-9]*[1-9][0-9]*')
                then 'out_of_range'
        end as quarantine_reason
    from measured
)

select
    line_number,
    event_date,
    user_id,
    value_prop,
    amount,
    quarantine_reason,
    case when is_plain then true else not is_blank(line) end as is_row,
    -- Kept is only what its values do not spell out.
    case
        when
            is_plain
            and not contains(line, '"')
            and names = ['pay_date', 'total', 'user_id', 'value_prop']
            then null
        else line
    end as raw_text,
    -- Of columns, and not of rows; see the header.
    cast(null as varchar[]) as unknown_keys,
    case
        when quarantine_reason = 'missing_field'
            then list_filter(
                [
                    case when is_blank(day_text) then 'pay_date' end,
                    case when is_blank(total_text) then 'total' end,
                    case when is_blank(user_text) then 'user_id' end,
                    case when is_blank(value_prop) then 'value_prop' end
                ],
                lambda name: name is not null
            )
    end as missing_fields
from judged
