{#- Return a path in the folder to which `value-props load` exports the parsed raw files, with the
    list of those that a run reads. The driver and every worker of Spark read them there. -#}
{% macro store_path(name) %}
    {{ return(env_var('VALUE_PROPS_STORE', 'data/store') ~ '/' ~ name) }}
{% endmacro %}


{#- Do nothing, because `value-props load` has already read the raw files. -#}
{% macro spark__ingest_raw_files() %}{% endmacro %}


{% macro spark__raw_file_list() -%}
    parquet.`{{ store_path('raw_files.parquet') }}`
{%- endmacro %}


{#- Read only files in the list. Other files in the folder belong to other loads. -#}
{% macro spark__raw_rows(name) -%}
    -- depends_on: {{ source('raw', name) }}
    (
        select
            listed.file_number,
            stored.*
        from parquet.`{{ store_path(name) }}` as stored
        inner join {{ ref('raw_files') }} as listed
            on stored.file_key = listed.file_key
    )
{%- endmacro %}


{% macro spark__unknown_fields() %}
    select
        source_name,
        file_name,
        field.field_name,
        field.row_count
    from (
        select
            source_name,
            file_name,
            explode(unknown_fields) as field
        from {{ ref('raw_files') }}
    ) as fields
{% endmacro %}


{#- Spark may not see the folder of the raw files. So return the stamp that `value-props load`
    checked again after it had parsed the file. -#}
{% macro spark__current_stamp() -%}
    stamp
{%- endmacro %}
