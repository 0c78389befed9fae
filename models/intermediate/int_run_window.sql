-- One row: the parameters of the run and the dates that follow from them. The dates are
-- null if no cut-off is given and there is no print.
with

parameters as (
    select * from {{ ref('run_parameters') }}
),

last_print as (
    select max(event_date) as last_print_date
    from {{ ref('stg_row_counts') }}
    where source_name = 'prints' and quarantine_reason is null
),

cut_off as (
    select
        parameters.*,
        coalesce(parameters.given_as_of_date, last_print.last_print_date) as as_of_date,
        cast(
            date_trunc(
                'week', coalesce(parameters.given_as_of_date, last_print.last_print_date)
            ) as date
        ) as week_of_cut_off
    from parameters
    cross join last_print
),

last_week as (
    select
        cut_off.*,
        case
            when
                cut_off.week_rule = 'latest'
                or cut_off.as_of_date = cut_off.week_of_cut_off + 6
                then cut_off.week_of_cut_off
            else cut_off.week_of_cut_off - 7
        end as last_week_start_date
    from cut_off
),

resolved as (
    select
        run_date,
        as_of_date,
        given_as_of_date is not null as is_as_of_date_given,
        week_rule,
        report_weeks,
        lookback_weeks,
        lookback_anchor,
        max_quarantine_rate,
        allow_incomplete,
        last_week_start_date - 7 * (report_weeks - 1) as first_week_start_date,
        last_week_start_date,
        last_week_start_date + 6 as report_end_date,
        least(last_week_start_date + 6, as_of_date) as last_report_day,
        last_week_start_date - 7 * (report_weeks - 1 + lookback_weeks)
            as first_lookback_date
    from last_week
)

select * from resolved
