-- An empty report reads as "nobody was shown anything". No parameter allows one.
select * from {{ ref('completeness_findings') }}
where rule = 'report_week_without_prints' and severity = 'error'
