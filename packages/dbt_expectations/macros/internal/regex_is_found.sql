{# The condition that a text holds a pattern. Engines share no name for it. #}
{% macro regex_is_found(expression, regex) %}
    {{ return(adapter.dispatch("regex_is_found", "dbt_expectations")(expression, regex)) }}
{% endmacro %}

{% macro default__regex_is_found(expression, regex) %}
regexp_matches({{ expression }}, '{{ regex }}')
{%- endmacro %}

{# A raw text (r"") keeps its backslashes, but cannot hold the quote that ends it. #}
{% macro spark__regex_is_found(expression, regex) %}
({{ expression }} rlike r"{{ regex | replace("''", "'") | replace('"', "\\x22") }}")
{%- endmacro %}
