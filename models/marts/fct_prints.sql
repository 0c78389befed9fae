-- One row per valid print of the report weeks: was it clicked, and what had this user
-- done with this value prop in the lookback?
with

report_prints as (
    select * from {{ ref('int_report_prints') }}
),

prior_activity as (
    select * from {{ ref('int_prior_activity') }}
),

-- The export keeps the order of this table, so the rows are sorted here. The key is
-- added after the sort, because its text is longer than all other columns together.
ordered as (
    select
        report_prints.week_start_date,
        report_prints.iso_week,
        report_prints.print_date,
        report_prints.user_id,
        report_prints.value_prop,
        report_prints.position,
        report_prints.is_clicked,
        coalesce(prior_activity.prior_views, 0) as prior_views,
        coalesce(prior_activity.prior_clicks, 0) as prior_clicks,
        coalesce(prior_activity.prior_payments, 0) as prior_payments,
        coalesce(prior_activity.prior_amount, 0) as prior_amount
    from report_prints
    left join prior_activity
        on
            report_prints.user_id = prior_activity.user_id
            and report_prints.value_prop = prior_activity.value_prop
            and report_prints.lookback_end_date = prior_activity.lookback_end_date
    order by
        report_prints.print_date,
        report_prints.user_id,
        report_prints.position,
        report_prints.value_prop
)

-- The contract in _marts__models.yml sets the order of the columns.
select
    cast({{ dbt_utils.generate_surrogate_key([
        'print_date', 'user_id', 'value_prop', 'position',
    ]) }} as string) as print_id,
    week_start_date,
    cast(iso_week as string) as iso_week,
    print_date,
    user_id,
    value_prop,
    position,
    is_clicked,
    cast(prior_views as bigint) as prior_views,
    cast(prior_clicks as bigint) as prior_clicks,
    cast(prior_payments as bigint) as prior_payments,
    cast(prior_amount as decimal(18, 2)) as prior_amount
from ordered
