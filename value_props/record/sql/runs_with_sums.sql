-- The last runs, newest first, each with its row counts and failed tests.
with

last_runs as (
    select *
    from quality.runs
    order by run_id desc
    limit $limit
),

sources as (
    select
        run_id,
        sum(rows_read) as rows_read,
        sum(rows_quarantined) as rows_quarantined
    from quality.source_profiles
    group by run_id
),

marts as (
    select
        run_id,
        sum(row_count) as rows_in_mart
    from quality.mart_profiles
    group by run_id
),

tests as (
    select
        run_id,
        count(*) filter (where status in ('fail', 'error')) as tests_failed,
        count(*) filter (where status = 'warn') as tests_warned
    from quality.test_results
    group by run_id
)

select
    last_runs.*,
    sources.rows_read,
    sources.rows_quarantined,
    marts.rows_in_mart,
    coalesce(tests.tests_failed, 0) as tests_failed,
    coalesce(tests.tests_warned, 0) as tests_warned
from last_runs
left join sources
    on last_runs.run_id = sources.run_id
left join marts
    on last_runs.run_id = marts.run_id
left join tests
    on last_runs.run_id = tests.run_id
order by last_runs.run_id desc
