-- Every parameter of the run as it was given or defaulted, checked and typed. The dates
-- that follow from them are in int_run_window.
select
    cast('{{ run_parameter("run_date") }}' as date) as run_date,
    cast(nullif('{{ run_parameter("as_of_date") }}', '') as date) as given_as_of_date,
    cast('{{ run_parameter("week_rule") }}' as varchar) as week_rule,
    cast({{ run_parameter("report_weeks") }} as integer) as report_weeks,
    cast({{ run_parameter("lookback_weeks") }} as integer) as lookback_weeks,
    cast('{{ run_parameter("lookback_anchor") }}' as varchar) as lookback_anchor,
    cast({{ run_parameter("max_quarantine_rate") }} as decimal(10, 9))
        as max_quarantine_rate,
    cast({{ run_parameter("allow_incomplete") }} as boolean) as allow_incomplete
