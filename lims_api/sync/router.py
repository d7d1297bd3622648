"""The staff's app: pushes its commands, pulls its documents."""

import gzip
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from lims_api.core.clock import utc_now
from lims_api.core.db import transaction
from lims_api.core.http import Caller, requires
from lims_api.core.permissions import Permission
from lims_api.sync.pull import pull
from lims_api.sync.push import push
from lims_api.sync.schemas import PullOut, PushIn, PushOut

router = APIRouter(prefix="/v1/sync", tags=["sync"])
Since = Annotated[str | None, Query(description="the `cursor` of the pull before; without one, everything")]
SMALL = 500


@router.post("/push")
@requires(Permission.SYNC_USE)
def push_commands(body: PushIn, caller: Caller) -> PushOut:
    """Do an app's commands, oldest first. Each is answered once and for ever by its id, so it needs no key."""
    with transaction(caller):
        pass  # the permission to push at all
    return PushOut(answers=push(caller, body.commands), server_time=utc_now())


@router.get("/pull", response_model=PullOut)
@requires(Permission.SYNC_USE)
def pull_documents(caller: Caller, request: Request, cursor: Since = None) -> Response:
    """What changed since the cursor, as whole documents; or, with `reset`, the whole working set, page by page."""
    body, headers = pull(caller, cursor), {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if len(body) > SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, 5), "gzip"
    return Response(body, media_type="application/json", headers=headers)
