-- If taps or payments end before the report, users seem not to click or pay. Both must
-- reach the last day of the report, unless allow_incomplete accepts less.
select * from {{ ref('completeness_findings') }}
where rule = 'source_ends_early' and severity = 'error'
