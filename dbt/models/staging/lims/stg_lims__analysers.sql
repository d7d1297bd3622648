with source as (
    {{ latest('analysers', [
        'code',
        'name',
        'model',
        'channel',
        'site_id',
        'is_active',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as analyser_id,
    code,
    name,
    model,
    channel,
    site_id,
    is_active,
    recorded_at
from source
