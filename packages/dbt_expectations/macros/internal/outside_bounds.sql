{# The condition that a value misses a bound; a null value or bound misses none. #}
{% macro outside_bounds(expression, min_value, max_value, strictly) %}
{%- set or_equal = "=" if strictly else "" -%}
{%- set misses = [] -%}
{%- if min_value is not none -%}
    {%- do misses.append(expression ~ " <" ~ or_equal ~ " (" ~ min_value ~ ")") -%}
{%- endif -%}
{%- if max_value is not none -%}
    {%- do misses.append(expression ~ " >" ~ or_equal ~ " (" ~ max_value ~ ")") -%}
{%- endif -%}
({{ misses | join(" or ") }})
{%- endmacro %}
