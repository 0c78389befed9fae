{# A null gets a text of its own, so that it never shares a key with an empty string. #}
{% macro generate_surrogate_key(field_list) %}
    {% do dbt_utils.check_columns("generate_surrogate_key", "field_list", field_list) %}
    {% set parts = [] %}
    {% for field in field_list %}
        {% do parts.append(
            "coalesce(cast(" ~ field ~ " as " ~ dbt.type_string() ~ "), "
            ~ "'_dbt_utils_surrogate_key_null_')"
        ) %}
    {% endfor %}
    {{ return(dbt.hash(parts | join(" || '-' || "))) }}
{% endmacro %}
