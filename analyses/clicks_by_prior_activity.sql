-- Does the past tell anything about the click? Click-through rate of prints whose user
-- paid with the value prop in the lookback, tapped it, only saw it, or did none of that.
with

prints as (
    select
        is_clicked,
        case
            when prior_payments > 0 then '1 paid'
            when prior_clicks > 0 then '2 tapped, not paid'
            when prior_views > 0 then '3 only saw'
            else '4 nothing'
        end as prior_activity
    from {{ ref('fct_prints') }}
),

rated as (
    select
        prior_activity,
        count(*) as prints,
        count(*) filter (where is_clicked) as clicked_prints,
        cast(count(*) filter (where is_clicked) as double) / count(*)
            as click_through_rate
    from prints
    group by prior_activity
)

select * from rated
order by prior_activity
