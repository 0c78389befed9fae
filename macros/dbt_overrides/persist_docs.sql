{#- Store the descriptions of a relation and its columns in one statement. The description of a
    missing column stops the model. dbt would query the columns first, and only warn. -#}
{% macro duckdb__persist_docs(relation, model, for_relation=true, for_columns=true) %}
    {%- set comments = [] -%}
    {%- if for_relation and config.persist_relation_docs() and model.description -%}
        {%- do comments.append(relation.type ~ ' ' ~ relation ~ ' is '
            ~ duckdb_escape_comment(model.description)) -%}
    {%- endif -%}
    {%- if for_columns and config.persist_column_docs() -%}
        {%- for column in model.columns.values() if column.description -%}
            {%- do comments.append('column ' ~ relation ~ '.' ~ adapter.quote(column.name)
                ~ ' is ' ~ duckdb_escape_comment(column.description)) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if comments -%}
        {%- call statement('comments') -%}
            {%- for comment in comments %}
                comment on {{ comment }};
            {%- endfor %}
        {%- endcall -%}
    {%- endif -%}
{% endmacro %}
