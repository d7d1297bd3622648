{# The newest version of each row of a raw change table; a deleted row has none. Order within a row is `seq`. #}
{% macro latest(table, columns) -%}
select
    row_id,
    organization_id,
    seq,
    recorded_at,
    {{ columns | join(',\n    ') }}
from (
    select
        *,
        row_number() over (partition by row_id order by seq desc) as age
    from {{ source('raw', table) }}
) as changes
where age = 1 and op <> 'D'
{%- endmacro %}
