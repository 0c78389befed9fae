-- Skew by late data of each feature_date, with the prints of each value prop.
select
    feature_date,
    run_id,
    sum(prints) as prints,
    sum(skewed_prints) as skewed_prints,
    string_agg(
        format('{} {:,} of {:,}', value_prop, skewed_prints, prints),
        ', '
        order by skewed_prints desc, value_prop asc
    ) filter (where skewed_prints > 0) as by_value_prop
from quality.feature_skew
group by feature_date, run_id
having sum(skewed_prints) > 0
order by feature_date
