with source as (
    {{ latest('control_lots', [
        'material_id',
        'lot_number',
        'expires_on',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as lot_id,
    material_id,
    lot_number,
    expires_on,
    recorded_at
from source
