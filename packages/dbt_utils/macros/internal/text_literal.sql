{# A caller writes an apostrophe twice, as in SQL; not every engine takes it so. #}
{% macro text_literal(rule, argument, value) %}
    {% set text = value | string %}
    {% do dbt_utils.check_argument(
        rule,
        argument,
        value,
        "'" not in text | replace("''", ""),
        "a text with each apostrophe written twice"
    ) %}
    {{ return(dbt.string_literal(dbt.escape_single_quotes(text | replace("''", "'")))) }}
{% endmacro %}
