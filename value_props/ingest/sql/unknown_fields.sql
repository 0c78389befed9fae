-- Keys of a file that no rule knows, and the number of rows that have each.
with

fields as (
    select unnest(list_distinct(unknown_keys)) as field_name
    from numbered
    where len(unknown_keys) > 0
)

select
    field_name,
    count(*) as row_count
from fields
group by field_name
order by field_name
