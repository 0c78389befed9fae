{#- `dbt source freshness` compares the latest valid day of a source with the cut-off of the last
    run instead of the clock. So data that is as old as the report is fresh. A source that ends
    before the last report day counts as loaded only until a week before that day. So it is more
    than six days old on any weekday. -#}
{% macro duckdb__collect_freshness(source, loaded_at_field, filter) %}
    {%- set run_window = adapter.get_relation(
        database=source.database, schema='intermediate', identifier='int_run_window'
    ) -%}
    {%- if run_window is none -%}
        {%- do exceptions.raise_compiler_error(
            "There is no cut-off to compare with: run `dbt build` first."
        ) -%}
    {%- endif -%}
    {%- call statement('collect_freshness', fetch_result=True, auto_begin=False) -%}
    with latest as (
        select max({{ loaded_at_field }}) as latest_day
        from {{ source }}
        where {{ loaded_at_field }} <= (select run_date + 1 from {{ run_window }})
    )

    select
        cast(
            case
                when latest.latest_day < run_window.last_report_day
                    then least(latest.latest_day, run_window.last_report_day - 7)
                else latest.latest_day
            end as timestamp
        ) as max_loaded_at,
        cast(coalesce(run_window.as_of_date, run_window.run_date) as timestamp)
            as snapshotted_at
    from latest
    cross join {{ run_window }} as run_window
    {%- endcall -%}
    {{ return(load_result('collect_freshness')) }}
{% endmacro %}
