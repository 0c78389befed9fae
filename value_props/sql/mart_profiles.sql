with shares as (
    select
        week_start_date,
        value_prop,
        count(*) as prints,
        sum(count(*)) over (partition by week_start_date) as prints_of_week
    from marts.fct_prints group by week_start_date, value_prop
),
by_value_prop as (
    select
        week_start_date,
        map_from_entries(
            list((value_prop, cast(prints as double) / prints_of_week) order by value_prop)
        ) as share_by_value_prop
    from shares group by all
)
select
    $run_id as run_id,
    week_start_date,
    prints.iso_week,
    count(*) as row_count,
    count(*) filter (where prints.is_clicked) as clicked_prints,
    cast(count(*) filter (where prints.is_clicked) as double) / count(*)
        as click_through_rate,
    cast(sum(prints.prior_views) as double) / count(*) as mean_prior_views,
    sum(prints.prior_views) as total_prior_views,
    cast(sum(prints.prior_clicks) as double) / count(*) as mean_prior_clicks,
    sum(prints.prior_clicks) as total_prior_clicks,
    cast(sum(prints.prior_payments) as double) / count(*) as mean_prior_payments,
    sum(prints.prior_payments) as total_prior_payments,
    cast(sum(prints.prior_amount) as double) / count(*) as mean_prior_amount,
    sum(prints.prior_amount) as total_prior_amount,
    by_value_prop.share_by_value_prop
from marts.fct_prints as prints
inner join by_value_prop using (week_start_date)
group by all
order by week_start_date
