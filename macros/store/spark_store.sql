{#- Where `value-props load` exports the parsed raw files to, and with them the list of
    those that a run reads. Spark reads them from the driver and every worker. -#}
{% macro store_path(name) %}
    {{ return(env_var('VALUE_PROPS_STORE', 'data/store') ~ '/' ~ name) }}
{% endmacro %}


{% macro spark__listed_raw_files() -%}
    select * from parquet.`{{ store_path('raw_files.parquet') }}`
{%- endmacro %}


{#- The load has parsed them. -#}
{% macro spark__parse_new_files(source_name) %}{% endmacro %}


{#- What the list does not name is of another load. -#}
{% macro spark__parsed_rows(source_name) %}
    -- depends_on: {{ source('raw', source_name) }}
    select
        listed.file_number,
        stored.*
    from parquet.`{{ store_path(source_name) }}` as stored
    inner join {{ ref('raw_files') }} as listed
        on stored.file_key = listed.file_key
{% endmacro %}


{% macro spark__counted_rows(source_name) %}
    -- depends_on: {{ ref('run_parameters') }}
    select
        '{{ source_name }}' as source_name,
        listed.file_number,
        counts.event_date,
        counts.value_prop,
        case
            when {{ is_too_late('counts') }} then 'out_of_range'
            else counts.quarantine_reason
        end as quarantine_reason,
        counts.row_count,
        counts.amount,
        counts.users_in_file
    from parquet.`{{ store_path(source_name ~ '_counts') }}` as counts
    inner join {{ ref('raw_files') }} as listed
        on counts.file_key = listed.file_key
{% endmacro %}


{#- A key that a line holds twice counts once. -#}
{% macro spark__unnested_keys(source_name, relation) %}
    select
        '{{ source_name }}' as source_name,
        file_number,
        explode(array_distinct(unknown_keys)) as field_name
    from {{ relation }}
    where size(unknown_keys) > 0
{% endmacro %}


{% macro spark__unknown_pays_columns() %}
    select
        source_name,
        file_name,
        field_name,
        row_count
    from (
        select
            source_name,
            file_name,
            explode(array_distinct(columns)) as field_name,
            row_count
        from {{ ref('raw_files') }}
        where source_name = 'pays'
    ) as listed_columns
    where field_name not in ('pay_date', 'total', 'user_id', 'value_prop')
{% endmacro %}


{#- Spark opens no raw file, and may not see their folder: the load looked at each again
    after it had parsed it, so what it wrote down is all that there is to say. -#}
{% macro spark__raw_file_stamps() %}
    select
        file_path,
        size_bytes,
        modified_at
    from {{ ref('raw_files') }}
{%- endmacro %}
