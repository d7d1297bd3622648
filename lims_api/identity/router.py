"""Signing in, signing out, who am I."""

from fastapi import APIRouter, Request

from lims_api.core.db import actor_of, transaction
from lims_api.core.http import Caller, requires
from lims_api.core.permissions import Permission
from lims_api.identity import dashboards, service
from lims_api.identity.schemas import DashboardLink, Me, SessionEnded, SessionOut, SignIn

router = APIRouter(prefix="/v1", tags=["identity"])


@router.post("/sessions", status_code=201)
def sign_in(body: SignIn, request: Request) -> SessionOut:
    """Sign in: the one route that needs no session."""
    return service.sign_in(
        request.state.database,
        organization=body.organization,
        username=body.username,
        password=body.password.get_secret_value(),
        hours=request.state.services.session_hours,
    )


@router.delete("/sessions/current")
@requires(Permission.SESSION_END)
def sign_out(caller: Caller) -> SessionEnded:
    """End this session at once."""
    with transaction(caller) as session:
        return SessionEnded(ended=service.sign_out(session))


@router.get("/dashboard-link")
@requires(Permission.DASHBOARD_VIEW)
def dashboard_link(caller: Caller) -> DashboardLink:
    """An address that opens the dashboards for the caller's organization for ten minutes."""
    with transaction(caller) as session:
        url, seconds = dashboards.link(
            actor_of(session), url=caller.services.dashboard_url, key_file=caller.services.dashboard_key_file
        )
    return DashboardLink(url=url, valid_for_seconds=seconds)


@router.get("/me")
@requires(Permission.SESSION_END)
def who_am_i(caller: Caller) -> Me:
    """The caller and their permissions."""
    with transaction(caller) as session:
        return service.me(session)
