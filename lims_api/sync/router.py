"""The staff's app: pushes its commands, pulls its documents."""

from fastapi import APIRouter

from lims_api.core.clock import utc_now
from lims_api.core.db import transaction
from lims_api.core.http import Caller, requires
from lims_api.core.permissions import Permission
from lims_api.sync.push import push
from lims_api.sync.schemas import PushIn, PushOut

router = APIRouter(prefix="/v1/sync", tags=["sync"])


@router.post("/push")
@requires(Permission.SYNC_USE)
def push_commands(body: PushIn, caller: Caller) -> PushOut:
    """Do an app's commands, oldest first. Each is answered once and for ever by its id, so it needs no key."""
    with transaction(caller):
        pass  # the permission to push at all
    return PushOut(answers=push(caller, body.commands), server_time=utc_now())
