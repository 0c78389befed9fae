{#- Spark's own file formats enforce no constraints. So count the rows that break them after
    the table is written. -#}
{% macro spark__persist_constraints(relation, model) %}
    {%- set rules = countable_constraints(model) if config.get('contract').enforced else [] -%}
    {%- if rules -%}
        {%- set counts = run_query(
            'select ' ~ rules | map(attribute='count') | join(', ') ~ ' from ' ~ relation
        ).rows[0] -%}
        {%- for rule in rules -%}
            {%- if counts[loop.index0] > 0 -%}
                {%- do exceptions.raise_compiler_error(
                    'Constraint of ' ~ relation ~ ': "' ~ rule.words ~ '" is broken by '
                    ~ counts[loop.index0] ~ ' rows.'
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}


{#- Return every not-null, check and primary-key constraint of a model: in words, and as the SQL
    that counts the rows that break it. As in SQL, null passes a check but not a key. -#}
{% macro countable_constraints(model) %}
    {%- set rules = [] -%}
    {%- set filled = [] -%}
    {%- set constraints = model.constraints | list -%}
    {%- for column in model.columns.values() -%}
        {%- do constraints.extend(column.constraints) -%}
        {%- if column.constraints | selectattr('type', 'equalto', 'not_null') | list -%}
            {%- do filled.append(column.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for constraint in constraints -%}
        {%- if constraint.type == 'check' -%}
            {%- set check = constraint.expression | trim -%}
            {%- do rules.append({'words': check, 'count':
                'count(*) filter (where not (' ~ check ~ '))'}) -%}
        {%- elif constraint.type == 'primary_key' -%}
            {%- set key = constraint.columns | join(', ') -%}
            {%- do filled.extend(constraint.columns) -%}
            {%- do rules.append({'words': key ~ ' is unique', 'count':
                'count(*) - count(distinct ' ~ key ~ ')'}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for name in filled | unique -%}
        {%- do rules.append({'words': name ~ ' is not null', 'count':
            'count(*) filter (where ' ~ name ~ ' is null)'}) -%}
    {%- endfor -%}
    {{ return(rules) }}
{% endmacro %}
