{# Minutes from one instant to another, to the second; null when either is unknown. #}
{% macro minutes_between(earlier, later) -%}
cast({{ dbt.datediff(earlier, later, 'second') }} as {{ dbt.type_float() }}) / 60
{%- endmacro %}
