with source as (
    {{ latest('organizations', [
        'code',
        'name',
    ]) | indent(4) }}
)

select
    row_id as organization_id,
    code,
    name,
    recorded_at
from source
