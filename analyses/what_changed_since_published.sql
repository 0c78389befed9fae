-- What is new in the marts just built, compared with the last published file? One row per
-- week and value prop with a difference: a later delivery can change past weeks too.
--
-- It compares two files, so dbt only compiles it. Attach the published one as `published`
-- in the DuckDB shell, and run what was compiled:
--
--     dbt compile --select what_changed_since_published
--     duckdb -readonly data/dev.duckdb
--     attach 'data/out/value_props.duckdb' as published (read_only);
--     .read target/compiled/value_props/analyses/what_changed_since_published.sql
with

built as (
    select * from {{ ref('fct_value_prop_weeks') }}
),

published as (
    select * from published.{{ ref('fct_value_prop_weeks').include(database=false) }}
),

compared as (
    select
        coalesce(built.week_start_date, published.week_start_date) as week_start_date,
        coalesce(built.iso_week, published.iso_week) as iso_week,
        coalesce(built.value_prop, published.value_prop) as value_prop,
        case
            when published.week_start_date is null then 'new'
            when built.week_start_date is null then 'gone'
            else 'changed'
        end as difference,
        published.prints as published_prints,
        built.prints,
        published.clicked_prints as published_clicked_prints,
        built.clicked_prints,
        published.payments as published_payments,
        built.payments,
        published.amount as published_amount,
        built.amount
    from built
    full outer join published
        on
            built.week_start_date = published.week_start_date
            and built.value_prop = published.value_prop
),

differences as (
    select * from compared
    where
        difference <> 'changed'
        or prints <> published_prints
        or clicked_prints <> published_clicked_prints
        or payments <> published_payments
        or amount <> published_amount
)

select * from differences
order by week_start_date, value_prop
