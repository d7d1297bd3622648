"""Signing in and out: one answer for every reason to refuse, and an end that is an end."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from sqlalchemy import select

from lims_api.core.clock import utc_now
from lims_api.core.errors import NotFound
from lims_api.core.ids import uuid7
from lims_api.core.permissions import Permission
from lims_api.identity import service
from lims_api.identity.models import Role, User, UserKind, UserRole
from tests.factories import organization, staff
from tests.integration.laboratory import Answer, Laboratory, proper

PASSWORD = "correct horse battery staple"


def sign_in(lab: Laboratory, username: str, password: str = PASSWORD, *, code: str | None = None) -> Answer:
    body = {"organization": code or lab.code, "username": username, "password": password}
    answer: Answer = lab.client.post("/v1/sessions", json=body)
    return proper(answer)


@pytest.fixture(scope="module")
def username(lab: Laboratory) -> str:
    """A member of staff who may end their session and see sites."""
    with lab.session("manager") as session:
        service.add_user(session, "asha", full_name="Asha Example", roles=["technician"], password=PASSWORD)
    return "asha"


def test_who_signs_in_is_who_they_are(lab: Laboratory, username: str) -> None:
    answer = sign_in(lab, username)

    assert answer.status_code == 201
    me = lab.get("/v1/me", by=answer.json()["token"])
    assert (me["username"], me["full_name"]) == ("asha", "Asha Example")
    assert "result:correct" in me["permissions"]
    assert "result:authorise" not in me["permissions"]
    assert me["permissions"] == sorted(me["permissions"])


@pytest.mark.req("0.5")
def test_who_am_i_says_which_laboratory_which_roles_and_which_site(lab: Laboratory) -> None:
    draws, decides = lab.get("/v1/me", by="phlebotomist"), lab.get("/v1/me", by="pathologist")

    centres = {site["code"]: site["id"] for site in lab.get("/v1/sites")}
    assert (draws["roles"], draws["site_id"]) == (["phlebotomist"], centres["CC1"])
    assert (decides["roles"], decides["site_id"]) == (["pathologist"], None)
    assert draws["organization"] == decides["organization"] == {
        "id": str(lab.organization_id), "code": lab.code, "name": "Nidan Test Laboratory", "is_example": True,
    }  # fmt: skip


@pytest.mark.req("0.5", "3.12.6")
def test_who_draws_blood_and_who_keeps_the_quality_have_no_hand_in_results(lab: Laboratory) -> None:
    for username in ("phlebotomist", "qc_officer"):
        held = lab.get("/v1/me", by=username)["permissions"]

        assert "sync:use" in held
        assert not [one for one in held if one.startswith(("result:", "critical:", "parked:"))]


def test_every_refusal_to_sign_in_is_the_same(lab: Laboratory, username: str) -> None:
    with lab.session("manager") as session:
        for name, kind in (("gone", UserKind.PERSON), ("machine", UserKind.MACHINE)):
            user = service.add_user(session, name, full_name="X", roles=[], password=PASSWORD, kind=kind)
            user.is_active = name != "gone"
        service.add_user(session, "wordless", full_name="X", roles=[])

    refused = [
        sign_in(lab, username, "wrong"),
        sign_in(lab, "nobody"),
        sign_in(lab, username, code="nowhere"),
        sign_in(lab, "gone"),
        sign_in(lab, "machine"),
        sign_in(lab, "wordless"),
        sign_in(lab, username, ""),
        sign_in(lab, username, PASSWORD.upper()),
        sign_in(lab, username.upper()),
        sign_in(lab, "a\x00sha"),
        sign_in(lab, username, code="spine\x00"),
    ]

    assert {answer.status_code for answer in refused} == {401}
    assert len({answer.content for answer in refused}) == 1
    assert refused[0].json()["type"].endswith("/sign-in-refused")
    assert not any(word in refused[0].text for word in (username, lab.code, PASSWORD))


def test_a_user_name_belongs_to_one_laboratory(lab: Laboratory, username: str) -> None:
    organization(lab.environment, code="elsewhere")

    assert sign_in(lab, username, code="elsewhere").status_code == 401


def test_a_password_is_the_same_however_it_was_typed(lab: Laboratory) -> None:
    """A composed é and one typed as two characters."""
    with lab.session("manager") as session:
        service.add_user(session, "rene", full_name="X", roles=[], password="caf\u00e9 au lait please")

    assert sign_in(lab, "rene", "cafe\u0301 au lait please").status_code == 201


@pytest.mark.parametrize("body", [{}, {"organization": "x"}, {"organization": "x", "username": "y", "password": 7}])
def test_a_body_of_another_shape_is_refused_without_its_content(lab: Laboratory, body: dict[str, object]) -> None:
    answer = proper(lab.client.post("/v1/sessions", json=body | {"extra": "hunter2"}))

    assert answer.status_code == 422
    assert "hunter2" not in answer.text


def test_signing_out_ends_the_session_at_once_and_no_other(lab: Laboratory, username: str) -> None:
    one, other = (sign_in(lab, username).json()["token"] for _ in range(2))

    answer = lab.call("DELETE", "/v1/sessions/current", by=one)

    assert (answer.status_code, answer.json()) == (200, {"ended": True})
    assert lab.call("GET", "/v1/me", by=one).status_code == 401
    assert lab.call("DELETE", "/v1/sessions/current", by=one).status_code == 401
    assert lab.call("GET", "/v1/me", by=other).status_code == 200


def test_a_session_that_expired_is_none(lab: Laboratory) -> None:
    expired = staff(
        lab.environment, lab.organization_id, [Permission.SESSION_END], expires_at=utc_now() - timedelta(seconds=1)
    )

    answer = lab.call("GET", "/v1/me", by=expired)

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (401, "unauthenticated")


def test_a_session_lasts_as_long_as_the_laboratory_says(lab: Laboratory, username: str) -> None:
    with lab.with_services(session_hours=2) as short:
        answer = sign_in(short, username)

    left = lab.rows(
        "select extract(epoch from expires_at - now()) / 3600 from lims.access_tokens where id = %s",
        answer.json()["session_id"],
    )
    assert 1.9 < left[0][0] <= 2


@pytest.mark.parametrize("kind", UserKind)
def test_who_was_disabled_can_do_nothing_from_then_on(lab: Laboratory, kind: UserKind) -> None:
    user_id = uuid7()
    token = lab.someone(Permission.SESSION_END, user_id=user_id, kind=kind)
    before = lab.call("GET", "/v1/me", by=token).status_code

    with lab.session("manager") as session:
        session.scalars(select(User).where(User.id == user_id)).one().is_active = False

    assert (before, lab.call("GET", "/v1/me", by=token).status_code) == (200, 401)


def test_a_role_taken_away_is_taken_away_at_once(lab: Laboratory) -> None:
    user_id = uuid7()
    token = lab.someone(Permission.SITE_READ, Permission.SESSION_END, user_id=user_id)
    before = lab.call("GET", "/v1/sites", by=token).status_code
    with lab.session("manager") as session:
        held = select(Role).join(UserRole, UserRole.role_id == Role.id).where(UserRole.user_id == user_id)
        session.scalars(held).one().permissions = [Permission.SESSION_END]

    after = lab.call("GET", "/v1/sites", by=token)

    assert (before, after.status_code, after.json()["permission"]) == (200, 403, "site:read")


def test_the_database_knows_a_token_by_its_hash_alone(lab: Laboratory, username: str) -> None:
    answer = sign_in(lab, username).json()

    ((stored,),) = lab.rows(
        "select count(*) from lims.access_tokens where id = %s and position(convert_to(%s, 'UTF8') in token_sha256) = 0",  # noqa: E501
        answer["session_id"],
        answer["token"],
    )
    assert stored == 1


def test_a_password_is_stored_as_a_hash_under_seal(lab: Laboratory, username: str) -> None:
    ((sealed,),) = lab.rows(
        "select password_hash_sealed from lims.users where organization_id = %s and username = %s",
        lab.organization_id,
        username,
    )

    assert PASSWORD.encode() not in bytes(sealed)
    assert b"argon2" not in bytes(sealed)


def test_a_role_that_does_not_exist_cannot_be_given(lab: Laboratory) -> None:
    with pytest.raises(NotFound, match="does not exist") as refusal, lab.session("manager") as session:
        service.add_user(session, "nobody2", full_name="X", roles=["technician", "emperor"])

    assert refusal.value.facts == {"roles": ["emperor"]}
    assert lab.rows("select count(*) from lims.users where username = 'nobody2'") == [(0,)]


def test_a_dashboard_link_names_the_laboratory_and_lasts_minutes(lab: Laboratory) -> None:
    answer = lab.get("/v1/dashboard-link", by="manager")

    (token,) = parse_qs(urlsplit(answer["url"]).query)["t"]
    key = lab.services.dashboard_key_file
    assert key is not None
    claims = jwt.decode(token, OKPKey.import_key(key.read_bytes()), algorithms=["EdDSA"]).claims
    assert claims["organization_id"] == str(lab.organization_id)
    assert claims["sub"] == str(lab.users["manager"])
    assert claims["exp"] - claims["iat"] == answer["valid_for_seconds"] == 600


def test_without_a_key_there_is_no_dashboard_link(lab: Laboratory) -> None:
    with lab.with_services(dashboard_key_file=None) as other:
        answer = other.call("GET", "/v1/dashboard-link", by="manager")

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (409, "dashboards-off")
