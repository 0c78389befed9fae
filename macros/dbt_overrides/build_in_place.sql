{#- Create tables and views under their final names. dbt would create each under another name and
    rename it. A run needs no renaming, because it fills a new database file that nobody reads
    until it is complete. In an existing file, such as data/dev.duckdb, the same transaction drops
    the old relation. -#}
{% materialization table, adapter='duckdb' %}
    {%- set relation = this.incorporate(type='table') -%}
    {{ build_in_place(relation, get_create_table_as_sql(false, relation, sql)) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}


{% materialization view, adapter='duckdb' %}
    {%- set relation = this.incorporate(type='view') -%}
    {{ build_in_place(relation, get_create_view_as_sql(relation, sql)) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}


{% macro build_in_place(relation, create_sql) %}
    {{ run_hooks(pre_hooks, inside_transaction=false) }}
    {{ run_hooks(pre_hooks) }}
    {%- set before = load_cached_relation(relation) -%}
    {%- call statement('main') -%}
        {% if before %}drop {{ before.type }} if exists {{ before }};{% endif %}
        {{ create_sql }}
    {%- endcall -%}
    {%- do persist_docs(relation, model) -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=false) }}
{% endmacro %}
