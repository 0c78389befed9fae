{#- dbt asks for the drop of a backup after each model. What its cache does not know is not
    there. -#}
{% macro drop_relation_if_exists(relation) %}
    {%- if relation is not none and load_cached_relation(relation) -%}
        {%- do adapter.drop_relation(relation) -%}
    {%- endif -%}
{% endmacro %}
