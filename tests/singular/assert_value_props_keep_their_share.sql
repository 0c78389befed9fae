-- Each of seven value props has about one in seven of the prints of a week: 11 % to 16 %
-- in the sample data. A share below 3 % or above 40 % means missing files, or a carousel
-- that changed. Weeks with fewer than 1,000 prints are left out. We set the thresholds on
-- 2026-11-24. It is a warning, because the app may change.
{{ config(severity='warn') }}

with

complete_weeks as (
    select
        week_start_date,
        iso_week,
        value_prop,
        prints,
        sum(prints) over (partition by week_start_date) as prints_of_week
    from {{ ref('fct_value_prop_weeks') }}
    where is_complete_week
),

unusual as (
    select
        complete_weeks.*,
        cast(complete_weeks.prints as double) / complete_weeks.prints_of_week
            as share_of_prints
    from complete_weeks
    where
        complete_weeks.prints_of_week >= 1000
        and not cast(complete_weeks.prints as double) / complete_weeks.prints_of_week
        between 0.03 and 0.4
)

select * from unusual
