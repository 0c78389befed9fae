{#- Schemas are named as the folders are (`marts`, `quality`), in every target: the
    file is one run's own, so a prefix would only lengthen each query. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
