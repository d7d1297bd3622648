{# Minutes from one instant to another, to the second; null when either is unknown. `double precision` and not
   dbt's float type, which has four bytes on DuckDB. #}
{% macro minutes_between(earlier, later) -%}
cast({{ dbt.datediff(earlier, later, 'second') }} as double precision) / 60
{%- endmacro %}
