{#- Run a data test, and store its failures only if there are any. Most tests find none, and
    creating a table for each would take longer than the tests. -#}
{% materialization test, adapter='duckdb' %}
    {%- set kept = adapter.get_relation(database, schema, model.alias) -%}
    {%- if kept -%}
        {%- do adapter.drop_relation(kept) -%}
    {%- endif -%}

    {%- set found = get_limit_subquery_sql(sql, config.get('limit')) -%}
    {%- call statement('main', fetch_result=True) -%}
        {{ get_test_sql(
            found, config.get('fail_calc'), config.get('warn_if'), config.get('error_if'),
            limit=none
        ) }}
    {%- endcall -%}

    {%- set relations = [] -%}
    {%- if should_store_failures() and load_result('main').table.rows[0][0] > 0 -%}
        {%- set relation = api.Relation.create(database, schema, model.alias, type='table') -%}
        {%- call statement('keep', auto_begin=True) -%}
            {{ get_create_sql(relation, found) }}
        {%- endcall -%}
        {%- do adapter.commit() -%}
        {%- do relations.append(relation) -%}
    {%- endif -%}
    {{ return({'relations': relations}) }}
{% endmaterialization %}
