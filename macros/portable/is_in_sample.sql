{#- Whether a test that computes the mart in another way checks this user. Such a test proves the
    code, not the data. So plain dbt, and with it CI, checks every user. `value-props build`, which
    publishes, checks one user in 64, or about a thousand users if that is more. -#}
{% macro is_in_sample(user_id) -%}
    {%- if target.name == 'publish' -%}
    hash({{ user_id }}) % (
        -- A type wider than the type of the hash would take twenty times as long.
        select cast(greatest(1, least(64, count(distinct user_id) // 1000)) as ubigint)
        from {{ ref('int_report_prints') }}
    ) = 0
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}
