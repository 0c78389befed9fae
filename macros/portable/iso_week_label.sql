{#- `2020-W53` of a Monday. The ISO year is that of the week's Thursday, and so is the
    count of weeks. -#}
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
