{#- With `--empty` a snapshot reads no rows. That does not mean that they are gone, so their
    versions stay valid. -#}
{% macro default__snapshot_staging_table(strategy, source_sql, target_relation) %}
    {%- if flags.EMPTY -%}
        {%- do strategy.update({'hard_deletes': 'ignore'}) -%}
    {%- endif -%}
    {{ return(dbt.default__snapshot_staging_table(strategy, source_sql, target_relation)) }}
{% endmacro %}
