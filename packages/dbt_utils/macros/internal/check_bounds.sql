{# A bare YAML date is refused: as SQL, 2020-11-05 is the number 2004. #}
{% macro check_bounds(rule, min_value, max_value) %}
    {% for argument, value in [("min_value", min_value), ("max_value", max_value)] %}
        {% do dbt_utils.check_argument(
            rule,
            argument,
            value,
            value is none
            or value is string
            or (value is number and value is not boolean),
            "a number or a SQL expression as text"
        ) %}
    {% endfor %}
    {% do dbt_utils.check_argument(
        rule,
        "min_value",
        min_value,
        min_value is not none or max_value is not none,
        "a bound, here or in max_value"
    ) %}
{% endmacro %}
