"""What opens the dashboards, and everything that does not."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from dashboards.access import REMEMBERED, Access, AccessRefused, current, enter, read_public_key, verify
from dashboards.settings import NotConfigured, read_settings

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
IN_TEN_MINUTES = int((NOW + timedelta(minutes=10)).timestamp())
OURS = "01990000-0000-7000-8000-000000000001"


class Signs(Protocol):
    """What `signer` of conftest offers."""

    key: OKPKey

    def token(self, **changes: Any) -> str: ...


@pytest.fixture
def public_key(signer: Signs) -> OKPKey:
    return OKPKey.import_key(signer.key.as_pem(private=False))


@pytest.mark.parametrize("algorithm", ["Ed25519", "EdDSA"])
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_token_signed_by_the_application_opens_its_organization(
    signer: Signs, public_key: OKPKey, algorithm: str
) -> None:
    access = verify(signer.token(algorithm=algorithm, exp=IN_TEN_MINUTES), public_key, now=NOW)

    assert access.organization_id == OURS
    assert access.expires_at == NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "reports"}, {"aud": None}, {"aud": ["reports"]}, {"aud": 7},
        {"iss": "someone"}, {"iss": None},
        {"sub": None}, {"sub": ""},
        {"organization_id": None}, {"organization_id": ""}, {"organization_id": "' or 1=1"},
        {"organization_id": [OURS]},
        {"exp": None}, {"exp": "soon"}, {"exp": True}, {"exp": 10**30}, {"exp": -(10**30)},
        {"exp": int(NOW.timestamp())}, {"exp": int(NOW.timestamp()) - 1},
        {"exp": int((NOW + timedelta(minutes=15, seconds=6)).timestamp())},
        {"nbf": int((NOW + timedelta(minutes=2)).timestamp())}, {"iat": int((NOW + timedelta(minutes=2)).timestamp())},
    ],
    ids=str,
)  # fmt: skip
def test_a_signed_token_with_a_wrong_claim_is_refused(
    signer: Signs, public_key: OKPKey, changes: dict[str, Any]
) -> None:
    token = signer.token(**{"exp": IN_TEN_MINUTES} | changes)

    with pytest.raises(AccessRefused):
        verify(token, public_key, now=NOW)


def test_a_life_of_exactly_fifteen_minutes_is_accepted(signer: Signs, public_key: OKPKey) -> None:
    token = signer.token(exp=int((NOW + timedelta(minutes=15)).timestamp()))

    assert verify(token, public_key, now=NOW).expires_at == NOW + timedelta(minutes=15)


def test_another_key_does_not_open(signer: Signs, public_key: OKPKey) -> None:
    with pytest.raises(AccessRefused, match="BadSignature"):
        verify(signer.token(key=OKPKey.generate_key("Ed25519"), exp=IN_TEN_MINUTES), public_key, now=NOW)


def test_a_changed_token_is_refused(signer: Signs, public_key: OKPKey) -> None:
    head, _, signature = signer.token(exp=IN_TEN_MINUTES).split(".")
    other = {"iss": "nidan", "aud": "dashboards", "sub": "x", "organization_id": OURS[:-1] + "2", "exp": IN_TEN_MINUTES}
    body = base64.urlsafe_b64encode(json.dumps(other).encode()).rstrip(b"=").decode()

    with pytest.raises(AccessRefused, match="BadSignature"):
        verify(f"{head}.{body}.{signature}", public_key, now=NOW)


def test_the_public_key_used_as_a_shared_secret_is_refused(signer: Signs, public_key: OKPKey) -> None:
    secret = OctKey.import_key(signer.key.as_pem(private=False).replace(b"-----", b""))
    claims = {"iss": "nidan", "aud": "dashboards", "sub": "x", "organization_id": OURS, "exp": IN_TEN_MINUTES}

    with pytest.raises(AccessRefused):
        verify(jwt.encode({"alg": "HS256"}, claims, secret), public_key, now=NOW)


def test_a_token_without_a_signature_is_refused(public_key: OKPKey) -> None:
    parts = ({"alg": "none"}, {"iss": "nidan", "aud": "dashboards", "sub": "x", "organization_id": OURS})
    unsigned = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."

    with pytest.raises(AccessRefused):
        verify(unsigned, public_key, now=NOW)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\u0926", "." * 5, "A" * 100_000, "\ud800"])
def test_rubbish_is_refused(public_key: OKPKey, token: str) -> None:
    with pytest.raises(AccessRefused):
        verify(token, public_key, now=NOW)


def test_a_refusal_does_not_repeat_the_token(signer: Signs, public_key: OKPKey) -> None:
    token = signer.token(exp=1)

    with pytest.raises(AccessRefused) as refused:
        verify(token, public_key, now=NOW)

    assert token.split(".")[1] not in str(refused.value)


def test_the_token_leaves_the_address_and_the_session_remembers_until_it_expires(signer: Signs, tmp_path: Path) -> None:
    session: dict[Any, Any] = {}
    parameters = {"t": signer.token(exp=IN_TEN_MINUTES), "other": "stays"}
    key_file = tmp_path / "dashboard.pub.pem"

    opened = enter(parameters, session, key_file=key_file, now=NOW)

    assert parameters == {"other": "stays"}
    assert enter({}, session, key_file=key_file, now=NOW + timedelta(minutes=9)) == opened
    assert enter({}, session, key_file=key_file, now=NOW + timedelta(minutes=10)) is None
    assert session == {}


def test_a_bad_token_leaves_the_address_too_and_ends_what_the_session_had(signer: Signs, tmp_path: Path) -> None:
    session: dict[Any, Any] = {}
    key_file = tmp_path / "dashboard.pub.pem"
    assert enter({"t": signer.token(exp=IN_TEN_MINUTES)}, session, key_file=key_file, now=NOW) is not None
    parameters = {"t": signer.token(exp=1)}

    assert enter(parameters, session, key_file=key_file, now=NOW) is None
    assert parameters == {}
    assert current(session, now=NOW) is None


def test_nothing_but_an_access_is_accepted_from_the_session() -> None:
    session: dict[Any, Any] = {REMEMBERED: {"organization_id": OURS, "expires_at": NOW + timedelta(minutes=1)}}

    assert current(session, now=NOW) is None


def test_access_ends_at_its_moment_and_not_after() -> None:
    access = Access(organization_id=OURS, subject="x", expires_at=NOW)

    assert access.is_valid_at(NOW - timedelta(microseconds=1))
    assert not access.is_valid_at(NOW)


@pytest.mark.parametrize("content", [b"", b"not a key", None])
def test_a_key_file_that_cannot_be_read_opens_nothing(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key.pem"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(AccessRefused, match="cannot be read"):
        read_public_key(file)


@pytest.mark.parametrize(("curve", "private"), [("Ed25519", True), ("Ed448", False), ("X25519", False)])
def test_a_private_key_or_another_curve_is_refused(tmp_path: Path, curve: Any, private: bool) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(OKPKey.generate_key(curve).as_pem(private=private))

    with pytest.raises(AccessRefused, match="Ed25519 public key"):
        read_public_key(file)


def test_each_missing_setting_is_named() -> None:
    full = {"LIMS_LAKE_CATALOG_URL": "sqlite://", "LIMS_LAKE_FOLDER": "x", "LIMS_DASHBOARD_PUBLIC_KEY_FILE": "y"}

    assert read_settings(full).public_key_file == Path("y")
    for name in full:
        with pytest.raises(NotConfigured, match=name):
            read_settings(full | {name: ""})
