"""Every domain's tables, so that the metadata is whole when migrations compare it with the database."""

from lims_api.catalogue import models as catalogue
from lims_api.equipment import models as equipment
from lims_api.files import models as files
from lims_api.identity import models as identity
from lims_api.orders import models as orders
from lims_api.organizations import models as organizations
from lims_api.patients import models as patients
from lims_api.qc import models as qc
from lims_api.reports import models as reports
from lims_api.results import models as results
from lims_api.specimens import models as specimens

ALL_MODELS = (organizations, identity, files, patients, catalogue, equipment, qc, orders, specimens, results, reports)
