"""The short-lived token that opens a dashboard; it names the organization, which the dashboard trusts nothing else
for."""

from datetime import timedelta
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import OKPKey

from lims_api.core.clock import utc_now
from lims_api.core.db import Actor
from lims_api.core.errors import Conflict
from lims_api.core.ids import uuid7

LIFETIME = timedelta(minutes=10)


class DashboardsOff(Conflict):
    slug, title = "dashboards-off", "Dashboards are not set up"


def link(actor: Actor, *, url: str, key_file: Path | None) -> tuple[str, int]:
    """An address that opens the dashboard for this organization, and its lifetime in seconds."""
    if key_file is None or not key_file.exists():
        raise DashboardsOff("Set LIMS_DASHBOARD_KEY_FILE to the key that signs dashboard tokens.")
    now = utc_now()
    claims = {
        "iss": "nidan",
        "aud": "dashboards",
        "sub": str(actor.actor_id),
        "organization_id": str(actor.organization_id),
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "jti": uuid7().hex,
    }
    token = jwt.encode({"alg": "EdDSA"}, claims, OKPKey.import_key(key_file.read_bytes()), algorithms=["EdDSA"])
    return f"{url}/?t={token}", int(LIFETIME.total_seconds())
