-- Test results of the last runs. A run without tests has one row with nulls.
with

last_runs as (
    select
        run_id,
        started_at,
        status
    from quality.runs
    order by run_id desc
    limit $limit
)

select
    last_runs.*,
    results.test_name,
    results.status as test_status,
    results.failures,
    results.seconds
from last_runs
left join quality.test_results as results
    on last_runs.run_id = results.run_id
order by last_runs.run_id, results.test_name
