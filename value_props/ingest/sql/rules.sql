-- The rules of the data, as macros that the queries of this folder share. The order of
-- the rules, and the quarantine reason of each, are in judged_events.sql and
-- judged_payments.sql.

-- The limits of values. They return null for null. assert_valid_rows_are_in_range states
-- them once more, as a check of these rules.
create or replace macro is_allowed_date(event_date) as (
    event_date >= date '2000-01-01'
);

create or replace macro is_allowed_user(user_id) as (
    user_id >= 1
);

create or replace macro is_allowed_position(position) as (
    position >= 0
);

create or replace macro is_allowed_amount(amount) as (
    amount between 0 and 1000000000000
);

-- Null, empty, or nothing but spaces and tabs.
create or replace macro is_blank(field) as (
    coalesce(trim(field, ' ' || chr(9)), '') = ''
);

-- A real calendar date written YYYY-MM-DD. A cast accepts more spellings, so the date
-- is written as text again and compared. This refuses year 0000, which DuckDB writes as
-- 1 BC.
create or replace macro is_iso_day(field, as_date) as (
    coalesce(strlen(field) = 10 and cast(as_date as varchar) = field, false)
);

create or replace macro reads_back(field, typed) as (
    coalesce(cast(typed as varchar) = field, false)
);

-- A text that a JSON reader can only get from the same text in quotes: it begins with a
-- lower-case letter, and is neither a literal nor what lax readers take for a number.
create or replace macro is_plain_text(field) as (
    coalesce(
        field between 'a' and '{'
        and field not in ('true', 'false', 'nan')
        and field not like 'inf%',
        false
    )
);

-- The fields of an event as text; a missing field is null. The JSON must be valid.
create or replace macro event_record(json_line) as (
    from_json(
        json_line,
        '{"day": "VARCHAR", "user_id": "VARCHAR",
          "event_data": {"position": "VARCHAR", "value_prop": "VARCHAR"}}'
    )
);

create or replace macro without_nulls(names) as (
    list_filter(names, lambda name: name is not null)
);

-- The line that the app writes for an event, without its line end.
create or replace macro line_of_event(event_date, user_id, value_prop, position) as (
    '{"day":"' || cast(event_date as varchar)
    || '","event_data":{"position":' || cast(position as varchar)
    || ',"value_prop":"' || value_prop
    || '"},"user_id":' || cast(user_id as varchar) || '}'
);

-- Length in bytes of the line that the app writes for an event or a payment, with its
-- line end. The length proof (../read.py) adds them up.
create or replace macro event_bytes(user_id, value_prop, position) as (
    strlen('{"day":"2000-01-01","event_data":{"position":,"value_prop":""},"user_id":}')
    + 1
    + strlen(cast(user_id as varchar))
    + strlen(value_prop)
    + strlen(cast(position as varchar))
);

create or replace macro payment_bytes(user_id, value_prop, amount) as (
    strlen('2000-01-01,,,')
    + 1
    + strlen(cast(user_id as varchar))
    + strlen(value_prop)
    + strlen(cast(amount as varchar))
);

-- Text that DuckDB's JSON reader accepts but RFC 8259 forbids: NaN and Infinity, or a
-- comma before a closing bracket. Also JSON that is not an object. Strings are skipped.
create or replace macro is_lax_json(json_line) as (
    regexp_matches(
        regexp_replace(json_line, '"(?:[^"\\]|\\.)*"', '""', 'g'),
        '^[ \t]*[^ \t{]|,[ \t]*[\]}]|[Nn][Aa]|[Ii][Nn][Ff]'
    )
);

create or replace macro known_keys(json_line, object_path, known) as (
    list_filter(json_keys(json_line, object_path), lambda key: key in known)
);

create or replace macro has_repeated_key(json_line, object_path, known) as (
    len(known_keys(json_line, object_path, known))
    > list_unique(known_keys(json_line, object_path, known))
);

-- A JSON number without fraction or exponent, or a string of digits. Only a number may
-- have a minus sign.
create or replace macro is_whole_number(field, json_line, field_path) as (
    regexp_full_match(field, '[0-9]+')
    or (
        regexp_full_match(field, '-[0-9]+')
        and json_type(json_line, field_path) <> 'VARCHAR'
    )
);

-- Keys that no rule knows. A key inside event_data is named event_data.<key>.
create or replace macro unknown_event_keys(json_line) as (
    list_concat(
        list_filter(
            json_keys(json_line),
            lambda key: key not in ('day', 'user_id', 'event_data')
        ),
        list_transform(
            list_filter(
                json_keys(json_line, '$.event_data'),
                lambda key: key not in ('position', 'value_prop')
            ),
            lambda key: 'event_data.' || key
        )
    )
);

-- The fields of one CSV line by RFC 4180. Null if a quote is misplaced. A pattern
-- parses only lines with a quote, and joins their fields by NUL, which no readable line
-- contains. So the same split then works for all lines.
create or replace macro csv_fields(line) as (
    string_split(
        case
            when not contains(line, '"') then line
            when
                regexp_full_match(
                    line, '(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*'
                )
                then
                    array_to_string(
                        list_transform(
                            regexp_extract_all(
                                line || ',', '("(?:[^"]|"")*"|[^",]*),', 1
                            ),
                            lambda part: case
                                when starts_with(part, '"')
                                    then replace(part[2:-2], '""', '"')
                                else part
                            end
                        ),
                        chr(0)
                    )
        end,
        case when contains(line, '"') then chr(0) else ',' end
    )
);

-- Every line of a file, in the order of the file.
create or replace macro lines_of(read_path, compression_name) as table
    select line
    from read_csv(
        read_path,
        columns = { line: 'VARCHAR' }, header = false, auto_detect = false,
        delim = chr(1), quote = '', escape = '', comment = '', new_line = '\n',
        encoding = 'utf-8', nullstr = '', null_padding = false, strict_mode = false,
        max_line_size = 4194304, buffer_size = 33554432, compression = compression_name,
        hive_partitioning = false, union_by_name = false
    );
