{#- `dbt test` and `dbt source freshness` read what a build has made. Return a statement that fails if
    there was no build, so that dbt names the cause once and not a missing table for each test. -#}
{% macro refuse_empty_database() %}
    {%- if flags.WHICH in ['test', 'freshness'] and target.name == 'dev' -%}
    select
        case
            when count(*) = 0
                then {{ fail_with("'" ~ (target.path | replace("'", "''"))
                    ~ " has no tables yet. Run `dbt build` first.'") }}
        end as refusal
    from information_schema.tables
    where table_schema = 'staging'
    {%- endif -%}
{% endmacro %}
