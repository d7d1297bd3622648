{# A rebuilt table has lost its grants: give the roles named in LIMS_WAREHOUSE_READERS (comma separated) the marts again. #}
{% macro let_readers_in(schemas) -%}
{%- for role in env_var('LIMS_WAREHOUSE_READERS', '').split(',') if role -%}
{%- for schema in schemas if schema in ('clinical', 'operations', 'quality') %}
grant usage on schema {{ schema }} to {{ role }};
grant select on all tables in schema {{ schema }} to {{ role }};
{%- endfor -%}
{%- endfor -%}
{%- endmacro %}
