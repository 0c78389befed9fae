{# The condition that a text holds a pattern. Engines share no name for it. #}
{% macro regex_is_found(expression, regex, flags) %}
    {{ return(
        adapter.dispatch("regex_is_found", "dbt_expectations")(expression, regex, flags)
    ) }}
{% endmacro %}

{% macro default__regex_is_found(expression, regex, flags) %}
regexp_matches({{ expression }}, '{{ regex }}', '{{ flags }}')
{%- endmacro %}

{# Spark takes flags inside the pattern only. A raw text (r"") keeps its backslashes, but
   cannot hold the quote that ends it. #}
{% macro spark__regex_is_found(expression, regex, flags) %}
{%- set pattern = regex | replace("''", "'") | replace('"', "\\x22") -%}
({{ expression }} rlike r"{{ "(?" ~ flags ~ ")" if flags else "" }}{{ pattern }}")
{%- endmacro %}
