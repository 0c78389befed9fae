-- Of how many users does the model know nothing? A cold user has no print, tap or
-- payment in the lookback with any value prop that the report week shows; a warm one has
-- some. One row per report week and kind of user.
with

prints as (
    select * from {{ ref('fct_prints') }}
),

users as (
    select
        week_start_date,
        user_id,
        count(*) as prints,
        count(*) filter (where is_clicked) as clicked_prints,
        sum(prior_views + prior_clicks + prior_payments) = 0 as is_cold
    from prints
    group by week_start_date, user_id
),

kinds as (
    select
        week_start_date,
        is_cold,
        count(*) as users,
        sum(prints) as prints,
        sum(clicked_prints) as clicked_prints
    from users
    group by week_start_date, is_cold
),

rated as (
    select
        kinds.*,
        cast(kinds.users as double)
        / sum(kinds.users) over (partition by kinds.week_start_date) as share_of_users,
        cast(kinds.clicked_prints as double) / kinds.prints as click_through_rate
    from kinds
)

select * from rated
order by week_start_date, is_cold
