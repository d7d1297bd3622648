with source as (
    {{ latest('control_targets', [
        'lot_id',
        'level',
        'test_code',
        'analyser_id',
        'version',
        'mean',
        'sd',
        'source',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as target_id,
    lot_id,
    level,
    test_code,
    analyser_id,
    version,
    mean,
    sd,
    source as target_source,
    recorded_at
from source
