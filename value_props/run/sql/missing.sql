-- What is missing, by rule and source. A week without prints is not told again by days.
with

findings as (
    select
        *,
        bool_or(rule = 'report_week_without_prints') over (
            partition by date_trunc('week', missing_date)
        ) as is_in_empty_week
    from quality.completeness_findings
)

select
    rule,
    severity,
    source_name,
    list(cast(missing_date as varchar) order by missing_date) as days
from findings
where not (rule = 'report_day_without_prints' and is_in_empty_week)
group by rule, severity, source_name
order by rule, severity, source_name
