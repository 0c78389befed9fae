{#- The CTEs from `texts` (fields as text) to `judged` (typed, with quarantine_reason).
    A plain line's values read back as they were written and lie within the limits;
    only the others are judged rule by rule. -#}
{% macro judged_payments() %}
typed as (
    select
        texts.*,
        try_cast(day_text as date) as event_date,
        try_cast(user_text as bigint) as user_id,
        -- Rounds half away from zero; null where the number has too many digits.
        try_cast(total_text as decimal(18, 2)) as amount
    from texts
),

sized as (
    select
        typed.*,
        coalesce(
            is_well_formed
            and event_date >= date '2000-01-01'
            and user_id >= 1
            and amount between 0 and 999999999999
            and strlen(day_text) = 10
            and cast(event_date as varchar) = day_text
            and cast(user_id as varchar) = user_text
            and cast(amount as varchar) = total_text
            and value_prop >= '!',
            false
        ) as is_plain
    from typed
),

judged as (
    select
        sized.*,
        case
            when is_plain or {{ is_blank('line') }} then null
            {{ payment_rules() }}
        end as quarantine_reason
    from sized
)
{% endmacro %}


{#- The rules of a payment, in their order, as branches of a CASE. The limits of the
    total hold for the number as it is written, before it is rounded. -#}
{% macro payment_rules() %}
            when not is_well_formed then 'malformed'
            when {{ is_blank('day_text') }} or {{ is_blank('total_text') }}
                or {{ is_blank('user_text') }} or {{ is_blank('value_prop') }}
                then 'missing_field'
            when not {{ is_iso_day('day_text', 'event_date') }}
                or not regexp_full_match(user_text, '[0-9]+')
                or not regexp_full_match(total_text, '[+-]?[0-9]+([.][0-9]+)?')
                then 'bad_type'
            when event_date < date '2000-01-01'
                or user_id is null or user_id < 1
                or amount is null or amount > 1000000000000
                or regexp_matches(total_text, '^-.*[1-9]')
                or regexp_full_match(total_text, '[+]?0*10{12}[.][0-9]*[1-9][0-9]*')
                then 'out_of_range'
{% endmacro %}
