{# Stops dbt, and says what was called, with which argument, and what that may be. #}
{% macro check_argument(rule, argument, value, is_allowed, allowed) %}
    {% if not is_allowed %}
        {% do exceptions.raise_compiler_error(
            "dbt_utils." ~ rule ~ ": argument " ~ argument ~ " is "
            ~ value | pprint ~ "; allowed: " ~ allowed
        ) %}
    {% endif %}
{% endmacro %}
