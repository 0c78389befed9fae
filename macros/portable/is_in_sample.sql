{#- Whether a user is one of those that a test asks which computes the mart by another way. Such
    a test proves the code and not the data: plain dbt, and so CI, asks every user;
    `value-props build`, which publishes, one in 64, and a thousand at least. -#}
{% macro is_in_sample(user_id) -%}
    {%- if target.name == 'publish' -%}
    hash({{ user_id }}) % (
        -- A wider type than that of the hash would take twenty times as long.
        select cast(greatest(1, least(64, count(distinct user_id) // 1000)) as ubigint)
        from {{ ref('int_report_prints') }}
    ) = 0
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}
