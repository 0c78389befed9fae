{% test accepted_range(
    model, column_name, min_value=none, max_value=none, inclusive=true
) %}
    {{ return(
        adapter.dispatch("test_accepted_range", "dbt_utils")(
            model, column_name, min_value, max_value, inclusive
        )
    ) }}
{% endtest %}

{% macro default__test_accepted_range(
    model, column_name, min_value, max_value, inclusive
) %}
{%- set rule = "accepted_range" -%}
{%- do dbt_utils.check_bounds(rule, min_value, max_value) -%}
{%- do dbt_utils.check_flag(rule, "inclusive", inclusive) -%}
{%- set or_equal = "" if inclusive else "=" -%}
{%- set misses = [] -%}
{%- if min_value is not none -%}
    {%- do misses.append(column_name ~ " <" ~ or_equal ~ " (" ~ min_value ~ ")") -%}
{%- endif -%}
{%- if max_value is not none -%}
    {%- do misses.append(column_name ~ " >" ~ or_equal ~ " (" ~ max_value ~ ")") -%}
{%- endif -%}
select *
from {{ model }}
where {{ misses | join(" or ") }}
{% endmacro %}
