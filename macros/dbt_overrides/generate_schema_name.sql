{#- Name schemas after the folders (`marts`, `quality`) in every target. Each run has its own
    database file, so a prefix would only make queries longer. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
