-- What somebody should know, though the run is published: the warnings, one row each.
{{ config(severity='warn') }}
select
    rule,
    source_name,
    subject
from {{ ref('run_warnings') }}
union all
select
    rule,
    source_name,
    cast(missing_date as varchar) as subject
from {{ ref('completeness_findings') }}
where severity = 'warn'
