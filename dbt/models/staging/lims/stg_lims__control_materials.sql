with source as (
    {{ latest('control_materials', [
        'name',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as material_id,
    name,
    recorded_at
from source
