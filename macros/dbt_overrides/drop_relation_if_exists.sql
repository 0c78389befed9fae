{#- dbt drops a backup relation after each model. If the cache does not have the relation, it does
    not exist, and we save the statement. -#}
{% macro drop_relation_if_exists(relation) %}
    {%- if relation is not none and load_cached_relation(relation) -%}
        {%- do adapter.drop_relation(relation) -%}
    {%- endif -%}
{% endmacro %}
