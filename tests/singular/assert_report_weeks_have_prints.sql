-- An empty report says that nobody was shown anything. No parameter allows an empty one.
select * from {{ ref('completeness_findings') }}
where rule = 'report_week_without_prints' and severity = 'error'
