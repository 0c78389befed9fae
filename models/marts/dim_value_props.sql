-- Every value prop of the catalogue or of the data, and when it was first and last seen.
with

run_window as (
    select * from {{ ref('int_run_window') }}
),

catalogue as (
    select * from {{ ref('value_props') }}
),

seen as (
    select
        activity_days.value_prop,
        min(activity_days.activity_date) as first_seen_date,
        max(activity_days.activity_date) as last_seen_date
    from {{ ref('int_activity_days') }} as activity_days
    inner join run_window
        on activity_days.activity_date <= run_window.as_of_date
    group by activity_days.value_prop
),

joined as (
    select
        coalesce(catalogue.value_prop, seen.value_prop) as value_prop,
        coalesce(catalogue.label, seen.value_prop) as label,
        catalogue.description,
        catalogue.value_prop is not null as is_in_catalogue,
        seen.first_seen_date,
        seen.last_seen_date
    from catalogue
    full outer join seen
        on catalogue.value_prop = seen.value_prop
)

select * from joined
