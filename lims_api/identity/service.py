"""Users, roles, sessions and API keys."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from lims_api.core.clock import utc_now
from lims_api.core.db import Database, actor_of, keys_of, unauthenticated
from lims_api.core.errors import NotFound
from lims_api.core.ids import uuid7
from lims_api.core.permissions import Permission
from lims_api.identity.authentication import hash_password, new_token, password_matches, token_sha256
from lims_api.identity.errors import SignInRefused
from lims_api.identity.models import Role, TokenKind, User, UserKind, UserRole
from lims_api.identity.schemas import Me, OrganizationOut, SessionOut
from lims_api.organizations import service as organizations

_FIND_LOGIN = text(
    "select organization_id, user_id, password_hash_sealed from lims.find_login(:organization, :username)"
)
_BEGIN = text("select lims.begin_session(:token, :id, :organization, :user, :kind, :expires)")
API_KEY_DAYS = 365
NUL = "\x00"


def sign_in(database: Database, *, organization: str, username: str, password: str, hours: int) -> SessionOut:
    """A new session for a member of staff. One answer for every reason to refuse, after the same time."""
    who = {"organization": organization, "username": username}
    row = None
    if not any(NUL in name for name in who.values()):  # which no stored name can hold, and no query
        with unauthenticated(database) as session:
            row = session.execute(_FIND_LOGIN, who).one_or_none()
    hashed = None
    if row and row.user_id and row.password_hash_sealed:
        hashed = database.keys.unseal_for_organization(
            bytes(row.password_hash_sealed), row.organization_id, "users.password_hash_sealed", row.user_id
        )
    if not password_matches(hashed, password) or row is None:
        raise SignInRefused("Organization, user name or password is wrong.")
    with unauthenticated(database) as session:
        return _begin(session, row.organization_id, row.user_id, TokenKind.SESSION, timedelta(hours=hours))


def sign_out(session: Session) -> bool:
    """End the caller's own session; false when it had ended already."""
    ended = session.execute(text("select lims.end_session(:id)"), {"id": actor_of(session).session_id})
    return bool(ended.scalar_one())


def add_user(
    session: Session,
    username: str,
    *,
    full_name: str,
    roles: Iterable[str],
    password: str | None = None,
    kind: UserKind = UserKind.PERSON,
    registration_number: str | None = None,
    site_id: UUID | None = None,
) -> User:
    """A member of staff or a machine, with the roles of these codes; with `site_id` they work at that site alone."""
    organization_id, keys, user_id = actor_of(session).organization_id, keys_of(session), uuid7()

    def seal(value: str, column: str) -> bytes:
        return keys.seal_for_organization(value, organization_id, column, user_id)

    user = User(
        id=user_id,
        organization_id=organization_id,
        username=username,
        kind=kind,
        registration_number=registration_number,
        site_id=site_id,
        full_name_sealed=seal(full_name, "users.full_name_sealed"),
        password_hash_sealed=seal(hash_password(password), "users.password_hash_sealed") if password else None,
    )
    session.add(user)
    session.flush()
    codes = set(roles)
    held = session.scalars(select(Role).where(Role.code.in_(codes))).all()
    if len(held) != len(codes):
        raise NotFound("One of these roles does not exist.", roles=sorted(codes - {role.code for role in held}))
    session.add_all(UserRole(organization_id=organization_id, user_id=user.id, role_id=role.id) for role in held)
    return user


def add_role(session: Session, code: str, *, name: str, permissions: Collection[Permission]) -> Role:
    """A named set of permissions."""
    role = Role(
        organization_id=actor_of(session).organization_id,
        code=code,
        name=name,
        permissions=sorted(permission.value for permission in permissions),
    )
    session.add(role)
    return role


def make_api_key(session: Session, user: User) -> str:
    """A machine's token for a year; shown once."""
    out = _begin(session, user.organization_id, user.id, TokenKind.API_KEY, timedelta(days=API_KEY_DAYS))
    return out.token


def full_name(session: Session, user_id: UUID) -> str:
    """The name to print, e.g. of a signatory."""
    user = session.scalars(select(User).where(User.id == user_id)).one_or_none()
    if user is None:
        raise NotFound("There is no such user in this organization.")
    return keys_of(session).unseal_for_organization(
        user.full_name_sealed, user.organization_id, "users.full_name_sealed", user.id
    )


def user_named(session: Session, username: str) -> User:
    """The user of this name, or `NotFound`."""
    user = session.scalars(select(User).where(User.username == username)).one_or_none()
    if user is None:
        raise NotFound("There is no such user in this organization.")
    return user


def me(session: Session) -> Me:
    """The caller, and what they may do."""
    actor = actor_of(session)
    user = session.scalars(select(User).where(User.id == actor.actor_id)).one()
    query = select(Role).join(UserRole, UserRole.role_id == Role.id).where(UserRole.user_id == user.id)
    roles = list(session.scalars(query.order_by(Role.code)))
    return Me(
        user_id=user.id,
        username=user.username,
        full_name=full_name(session, user.id),
        roles=[role.code for role in roles],
        permissions=sorted({permission for role in roles for permission in role.permissions}),
        site_id=user.site_id,
        organization=OrganizationOut.model_validate(organizations.own(session)),
    )


def _begin(session: Session, organization_id: UUID, user_id: UUID, kind: TokenKind, lifetime: timedelta) -> SessionOut:
    token, session_id = new_token(), uuid7()
    expires_at: datetime = utc_now() + lifetime
    session.execute(
        _BEGIN,
        {
            "token": token_sha256(token),
            "id": session_id,
            "organization": organization_id,
            "user": user_id,
            "kind": kind.value,
            "expires": expires_at,
        },
    )
    return SessionOut(token=token, session_id=session_id, expires_at=expires_at)
