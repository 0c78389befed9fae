{#- Return the label of the ISO week that starts on a Monday, such as `2020-W53`. The Thursday of
    the week determines its ISO year and its number. -#}
{% macro iso_week_label(week_start_date) -%}
    cast(extract(year from {{ week_start_date }} + 3) as string) || '-W'
    || lpad(
        cast(
            cast(
                floor((extract(doy from {{ week_start_date }} + 3) - 1) / 7) as integer
            ) + 1 as string
        ),
        2,
        '0'
    )
{%- endmacro %}
