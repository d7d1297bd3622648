from tests.factories import organization
from lims_api.core.db import SystemCaller, transaction
from lims_api.organizations.models import Organization
def test_x(environment):
    t = organization(environment)
    with transaction(SystemCaller(database=environment.system, organization_id=t)) as s:
        s.get(Organization, t).retention_days = 5
