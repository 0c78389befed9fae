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
        serving_features,
        last_week_start_date - 7 * (report_weeks - 1) as first_week_start_date,
        last_week_start_date,
        last_week_start_date + 6 as report_end_date,
        least(last_week_start_date + 6, as_of_date) as last_report_day,
        last_week_start_date - 7 * (report_weeks - 1 + lookback_weeks)
            as first_lookback_date,
        case
            when lookback_anchor = 'print' then as_of_date + 1
            else last_week_start_date + 7
        end as feature_date
    from last_week
)

select
    *,
    feature_date - 7 * lookback_weeks as feature_lookback_date
from resolved
where
    -- Features of days that are not over would change until the week ends.
    case
        when not coalesce(serving_features and feature_date > as_of_date + 1, false)
            then true
        else cast({{ fail_with(
            "'serving_features needs a week that is over, and the week of '"
            ~ " || cast(as_of_date as string) || ' ends on '"
            ~ " || cast(report_end_date as string) || '. Use week_rule complete, a cut-off on a"
            ~ " Sunday, or lookback_anchor print, which serves from the day after the cut-off'"
        ) }} as boolean)
    end
