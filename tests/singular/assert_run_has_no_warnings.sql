-- Nobody opens a table to look for warnings. So each warning is a failing row of this
-- test, which never fails a run.
{{ config(severity='warn') }}

with

findings as (
    select * from {{ ref('completeness_findings') }}
    where severity = 'warn'
),

run_warnings as (
    select * from {{ ref('run_warnings') }}
),

all_warnings as (
    select
        rule,
        source_name,
        cast(missing_date as string) as subject,
        cast(null as bigint) as row_count
    from findings
    union all
    select
        rule,
        source_name,
        subject,
        row_count
    from run_warnings
)

select * from all_warnings
