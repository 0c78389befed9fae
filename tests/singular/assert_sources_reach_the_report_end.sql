-- Taps or payments that end before the report does would look like users who did not
-- click or pay. They must reach its last day, unless allow_incomplete accepts less.
select * from {{ ref('completeness_findings') }}
where rule = 'source_ends_early' and severity = 'error'
