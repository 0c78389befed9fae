-- noqa: disable=LT05
-- Every parameter of the run, given or default, checked and typed. int_run_window has
-- the dates that follow from them.
{% set given = {} %}
{% for name in var('parameters') %}
    {% do given.update({name: run_parameter(name)}) %}
{% endfor %}

select
    cast('{{ given.run_date }}' as date) as run_date,
    cast(nullif('{{ given.as_of_date }}', '') as date) as given_as_of_date,
    cast('{{ given.week_rule }}' as string) as week_rule,
    cast({{ given.report_weeks }} as integer) as report_weeks,
    cast({{ given.lookback_weeks }} as integer) as lookback_weeks,
    cast('{{ given.lookback_anchor }}' as string) as lookback_anchor,
    cast({{ given.max_quarantine_rate }} as decimal(10, 9)) as max_quarantine_rate,
    cast({{ given.allow_incomplete }} as boolean) as allow_incomplete,
    cast({{ given.serving_features }} as boolean) as serving_features
