-- A week with a missing day looks like a week with fewer prints. Under the week rule
-- `complete` no day may be missing, unless allow_incomplete accepts it.
select * from {{ ref('completeness_findings') }}
where rule = 'report_day_without_prints' and severity = 'error'
