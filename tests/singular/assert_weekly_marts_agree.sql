-- Three marts tell of the same prints by different ways: fct_prints through the
-- lookbacks, fct_position_weeks through the positions, fct_value_prop_weeks through the
-- daily counts. Two people who ask two of them must hear the same number.
with

print_counts as (
    select
        week_start_date,
        value_prop,
        count(*) as prints,
        count(*) filter (where is_clicked) as clicked_prints
    from {{ ref('fct_prints') }}
    group by week_start_date, value_prop
),

position_counts as (
    select
        week_start_date,
        value_prop,
        sum(prints) as prints,
        sum(clicked_prints) as clicked_prints
    from {{ ref('fct_position_weeks') }}
    group by week_start_date, value_prop
),

value_prop_weeks as (
    select * from {{ ref('fct_value_prop_weeks') }}
),

report_weeks as (
    select week_start_date from {{ ref('int_iso_weeks') }}
    where is_report_week
),

compared as (
    select
        value_prop_weeks.week_start_date,
        value_prop_weeks.value_prop,
        value_prop_weeks.prints,
        value_prop_weeks.clicked_prints,
        coalesce(position_counts.prints, 0) as prints_by_position,
        coalesce(position_counts.clicked_prints, 0) as clicked_prints_by_position,
        report_weeks.week_start_date is not null as is_report_week,
        coalesce(print_counts.prints, 0) as report_prints,
        coalesce(print_counts.clicked_prints, 0) as clicked_report_prints
    from value_prop_weeks
    full outer join position_counts
        on
            value_prop_weeks.week_start_date = position_counts.week_start_date
            and value_prop_weeks.value_prop = position_counts.value_prop
    left join report_weeks
        on value_prop_weeks.week_start_date = report_weeks.week_start_date
    left join print_counts
        on
            value_prop_weeks.week_start_date = print_counts.week_start_date
            and value_prop_weeks.value_prop = print_counts.value_prop
),

differences as (
    select * from compared
    where
        not coalesce(
            prints = prints_by_position
            and clicked_prints = clicked_prints_by_position
            and (
                not is_report_week
                or (prints = report_prints and clicked_prints = clicked_report_prints)
            ),
            false
        )
)

select * from differences
