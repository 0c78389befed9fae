{#- Return a checked run parameter as text. dbt_project.yml has the allowed values. -#}
{% macro run_parameter(name) %}
    {%- set rule = var('parameters')[name] -%}
    {#- var() would execute Jinja in a var of the command line, so such a var is read as it is. -#}
    {%- set raw = (invocation_args_dict.vars or {}).get(name) -%}
    {%- set given = raw if '{' in (raw | string) else var(name, '') -%}
    {%- set text = (given if given is not none else '') | string -%}
    {%- set today = run_started_at.strftime('%Y-%m-%d') if name == 'run_date' else '' -%}
    {%- set text = text or rule.get('default', today) -%}
    {%- if not execute or text == '' or is_allowed_value(text, rule) -%}
        {%- if rule['kind'] == 'switch' -%}
            {{ return('true' if text | lower in switches_on() else 'false') }}
        {%- endif -%}
        {{ return(text) }}
    {%- endif -%}
    {%- do exceptions.raise_compiler_error(
        "Parameter " ~ name ~ " is '" ~ text ~ "'; allowed is "
        ~ allowed_values(rule) ~ "."
    ) -%}
{% endmacro %}


{#- dbt ignores a var that it does not know, and a misspelt one would build what was not asked for. -#}
{% macro refuse_unknown_vars() %}
    {%- set known = ['raw_path'] + (var('parameters') | list) -%}
    {#- Vars of packages have a colon. -#}
    {%- for name in (invocation_args_dict.vars or {}) if name not in known and ':' not in name -%}
        {%- do exceptions.raise_compiler_error(
            "Var " ~ name ~ ": the project has no such var. Its vars are " ~ known | join(', ') ~ "."
        ) -%}
    {%- endfor -%}
{% endmacro %}


{% macro switches_on() %}
    {{ return(['1', 'true', 'yes', 'on']) }}
{% endmacro %}


{% macro switches_off() %}
    {{ return(['0', 'false', 'no', 'off']) }}
{% endmacro %}


{% macro is_allowed_value(text, rule) %}
    {%- set re = modules.re -%}
    {%- if 'choices' in rule -%}
        {{ return(text in rule['choices']) }}
    {%- elif rule['kind'] == 'switch' -%}
        {{ return(text | lower in switches_on() + switches_off()) }}
    {%- elif rule['kind'] == 'integer' -%}
        {{ return(
            re.fullmatch('[0-9]{1,9}', text) is not none
            and rule['from'] <= (text | int) <= rule['to']
        ) }}
    {%- elif rule['kind'] == 'rate' -%}
        {{ return(
            re.fullmatch('[0-9]{1,9}([.][0-9]{1,9})?', text) is not none
            and rule['from'] <= (text | float) <= rule['to']
        ) }}
    {%- endif -%}
    {{ return(is_calendar_date(text)) }}
{% endmacro %}


{% macro is_calendar_date(text) %}
    {%- if modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', text) is none -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set year, month, day = text[:4] | int, text[5:7] | int, text[8:] | int -%}
    {%- set is_leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 -%}
    {%- set lengths = [31, 29 if is_leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] -%}
    {{ return(year >= 1 and 1 <= month <= 12 and 1 <= day <= lengths[month - 1]) }}
{% endmacro %}


{% macro allowed_values(rule) %}
    {%- if 'choices' in rule -%}
        {{ return(rule['choices'] | join(' or ')) }}
    {%- elif rule['kind'] == 'integer' -%}
        {{ return('a whole number from ' ~ rule['from'] ~ ' to ' ~ rule['to']) }}
    {%- elif rule['kind'] == 'rate' -%}
        {{ return('a decimal number from 0 to 1, such as 0.01') }}
    {%- elif rule['kind'] == 'switch' -%}
        {{ return('1, true, yes or on; or 0, false, no or off') }}
    {%- endif -%}
    {{ return('a calendar date written YYYY-MM-DD') }}
{% endmacro %}
