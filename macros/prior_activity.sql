{#- Return a query that sums what users did in lookbacks: the one definition of the features, for
    the mart and for serving. Lookbacks without activity have no row. -#}
{% macro prior_activity(lookbacks, is_by_user) %}
    with

    -- The days from the first to the last lookback. The engine skips files outside them.
    span as (
        select
            min(lookback_start_date) as first_date,
            max(lookback_end_date) as end_date
        from {{ lookbacks }}
    ),

    -- Grouping by a number takes half as long as grouping by a text.
    numbered_value_props as (
        select
            value_prop,
            cast(row_number() over (order by value_prop) as integer) as value_prop_number
        from {{ lookbacks }}
        group by value_prop
    ),

    value_props as (
        select
            numbered_value_props.*,
            span.first_date,
            span.end_date
        from numbered_value_props
        cross join span
    ),

    numbered_lookbacks as (
        select
            {% if is_by_user %}lookbacks.user_id,{% endif %}
            value_props.value_prop_number,
            lookbacks.lookback_start_date,
            lookbacks.lookback_end_date
        from {{ lookbacks }} as lookbacks
        inner join value_props
            on lookbacks.value_prop = value_props.value_prop
        group by
            {% if is_by_user %}lookbacks.user_id,{% endif %}
            value_props.value_prop_number,
            lookbacks.lookback_start_date,
            lookbacks.lookback_end_date
    ),

    activity as (
        select
            int_activity.*,
            value_props.value_prop_number
        from {{ ref('int_activity') }} as int_activity
        inner join value_props
            on
                int_activity.value_prop = value_props.value_prop
                and int_activity.activity_date >= value_props.first_date
                and int_activity.activity_date < value_props.end_date
    ),

    summed as (
        select
            activity.user_id,
            activity.value_prop_number,
            lookbacks.lookback_end_date,
            count(*) filter (where activity.is_view) as prior_views,
            count(*) filter (where activity.is_click) as prior_clicks,
            count(*) filter (where activity.is_payment) as prior_payments,
            cast(sum(activity.amount) as decimal(38, 2)) as prior_amount
        from activity
        inner join numbered_lookbacks as lookbacks
            on
                activity.value_prop_number = lookbacks.value_prop_number
                {% if is_by_user %}and activity.user_id = lookbacks.user_id{% endif %}
                and activity.activity_date >= lookbacks.lookback_start_date
                and activity.activity_date < lookbacks.lookback_end_date
        group by
            activity.user_id,
            activity.value_prop_number,
            lookbacks.lookback_end_date
    )

    select
        summed.user_id,
        value_props.value_prop,
        -- In the order of value_prop, and faster to sort by.
        value_props.value_prop_number,
        summed.lookback_end_date,
        summed.prior_views,
        summed.prior_clicks,
        summed.prior_payments,
        cast(summed.prior_amount as decimal(18, 2)) as prior_amount
    from summed
    inner join value_props
        on summed.value_prop_number = value_props.value_prop_number
    where
        case
            when summed.prior_amount < 10000000000000000 then true
            else cast({{ fail_with(
                "'The payments of user ' || cast(summed.user_id as string) || ' with value prop '"
                ~ " || value_props.value_prop || ' before '"
                ~ " || cast(summed.lookback_end_date as string)"
                ~ " || ' come to ' || cast(summed.prior_amount as string)"
                ~ " || ', and prior_amount holds less than 10^16."
                ~ " Have these payments corrected, or look back over fewer weeks'"
            ) }} as boolean)
        end
{% endmacro %}
