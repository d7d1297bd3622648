with source as (
    {{ latest('sites', [
        'code',
        'name',
        'kind',
        'parent_id',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as site_id,
    code,
    name,
    kind,
    parent_id,
    recorded_at
from source
