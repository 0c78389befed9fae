{#- Where `value-props load` exports the parsed raw files to, and with them the list of
    those that a run reads. Spark reads them from the driver and every worker. -#}
{% macro store_path(name) %}
    {{ return(env_var('VALUE_PROPS_STORE', 'data/store') ~ '/' ~ name) }}
{% endmacro %}


{#- The load has read them. -#}
{% macro spark__ingest_raw_files() %}{% endmacro %}


{% macro spark__raw_file_list() -%}
    parquet.`{{ store_path('raw_files.parquet') }}`
{%- endmacro %}


{#- What the list does not name is of another load. -#}
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


{#- Spark opens no raw file, and may not see their folder: the load looked at each again
    after it had parsed it, so what it wrote down is all that there is to say. -#}
{% macro spark__current_stamp() -%}
    stamp
{%- endmacro %}
