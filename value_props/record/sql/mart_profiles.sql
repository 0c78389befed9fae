-- Counts and means of the mart, one row per report week.
with

shares as (
    select
        week_start_date,
        value_prop,
        count(*) as prints,
        sum(count(*)) over (partition by week_start_date) as prints_of_week
    from marts.fct_prints
    group by week_start_date, value_prop
),

by_value_prop as (
    select
        week_start_date,
        map_from_entries(
            list(
                (value_prop, cast(prints as double) / prints_of_week) order by value_prop
            )
        ) as share_by_value_prop
    from shares
    group by week_start_date
),

weeks as (
    select
        week_start_date,
        iso_week,
        count(*) as row_count,
        count(*) filter (where is_clicked) as clicked_prints,
        sum(prior_views) as total_prior_views,
        sum(prior_clicks) as total_prior_clicks,
        sum(prior_payments) as total_prior_payments,
        sum(prior_amount) as total_prior_amount
    from marts.fct_prints
    group by week_start_date, iso_week
)

select
    $run_id as run_id,
    weeks.week_start_date,
    weeks.iso_week,
    weeks.row_count,
    weeks.clicked_prints,
    cast(weeks.clicked_prints as double) / weeks.row_count as click_through_rate,
    cast(weeks.total_prior_views as double) / weeks.row_count as mean_prior_views,
    weeks.total_prior_views,
    cast(weeks.total_prior_clicks as double) / weeks.row_count as mean_prior_clicks,
    weeks.total_prior_clicks,
    cast(weeks.total_prior_payments as double) / weeks.row_count as mean_prior_payments,
    weeks.total_prior_payments,
    cast(weeks.total_prior_amount as double) / weeks.row_count as mean_prior_amount,
    weeks.total_prior_amount,
    by_value_prop.share_by_value_prop
from weeks
inner join by_value_prop
    on weeks.week_start_date = by_value_prop.week_start_date
order by weeks.week_start_date
