{#- Return a relation with the features that earlier runs published. Only `value-props build` knows
    them. For plain dbt and for Spark it has no row. -#}
{% macro published_features() -%}
    {%- if target.name == 'publish' -%}
    {{ source('published', 'features') }}
    {%- else -%}
    (
        select
            cast(null as string) as run_id,
            cast(null as string) as lookback_anchor,
            cast(null as integer) as lookback_weeks,
            cast(null as date) as feature_date,
            cast(null as bigint) as user_id,
            cast(null as string) as value_prop,
            cast(null as bigint) as prior_views,
            cast(null as bigint) as prior_clicks,
            cast(null as bigint) as prior_payments,
            cast(null as decimal(18, 2)) as prior_amount
        where false
    )
    {%- endif -%}
{%- endmacro %}
