"""Sealing: what goes in comes out, and nothing else opens."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.core.crypto import (
    CannotUnseal,
    Key,
    associated_data,
    blind_token,
    key_id_of,
    new_secret,
    seal,
    unseal,
    unwrap,
    wrap,
)

ids = st.uuids(version=4)
secrets = st.binary(min_size=32, max_size=32)
keys = st.builds(Key, ids, secrets)
columns = st.sampled_from(["patients.name_sealed", "patients.phone_sealed", "users.full_name_sealed"])


@pytest.mark.req("4.4.1")
@given(keys, st.binary(max_size=2_000), ids, columns, ids)
def test_what_is_sealed_opens_again(key: Key, plain: bytes, organization: UUID, column: str, row: UUID) -> None:
    bound = associated_data(organization, column, row)

    sealed = seal(key, plain, bound)

    assert key_id_of(sealed) == key.id
    assert unseal(key, sealed, bound) == plain


@given(keys, st.binary(min_size=8, max_size=200))
def test_the_plain_text_is_not_in_the_sealed_value_and_sealing_twice_differs(key: Key, plain: bytes) -> None:
    first, second = seal(key, plain, b"bound"), seal(key, plain, b"bound")

    assert plain not in first
    assert first != second


@pytest.mark.req("4.4.1")
@given(keys, st.binary(max_size=50), ids, columns, ids, st.sampled_from(["organization", "column", "row"]), ids)
def test_a_sealed_value_moved_elsewhere_does_not_open(
    key: Key, plain: bytes, organization: UUID, column: str, row: UUID, moved: str, other: UUID
) -> None:
    sealed = seal(key, plain, associated_data(organization, column, row))
    elsewhere = associated_data(
        other if moved == "organization" else organization,
        column + "x" if moved == "column" else column,
        other if moved == "row" else row,
    )

    with pytest.raises(CannotUnseal):
        unseal(key, sealed, elsewhere)


@pytest.mark.req("4.4.1")
@given(keys, st.binary(max_size=50), st.data())
def test_a_sealed_value_altered_in_any_bit_does_not_open(key: Key, plain: bytes, data: st.DataObject) -> None:
    sealed = seal(key, plain, b"bound")
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    altered = bytearray(sealed)
    altered[bit // 8] ^= 1 << bit % 8

    with pytest.raises(CannotUnseal):
        unseal(key, bytes(altered), b"bound")


@given(keys, st.binary(max_size=50), st.data())
def test_a_sealed_value_cut_short_does_not_open(key: Key, plain: bytes, data: st.DataObject) -> None:
    sealed = seal(key, plain, b"bound")
    length = data.draw(st.integers(0, len(sealed) - 1))

    with pytest.raises(CannotUnseal):
        unseal(key, sealed[:length], b"bound")


@given(keys, secrets, st.binary(max_size=50))
def test_another_key_under_the_same_name_does_not_open(key: Key, other: bytes, plain: bytes) -> None:
    if other == key.secret:
        return

    with pytest.raises(CannotUnseal):
        unseal(Key(key.id, other), seal(key, plain, b"bound"), b"bound")


@given(secrets, secrets, st.binary(max_size=40), st.binary(max_size=40))
def test_a_wrapped_key_opens_under_its_own_wrapping_key_and_name_alone(
    wrapping: bytes, secret: bytes, name: bytes, other: bytes
) -> None:
    wrapped = wrap(wrapping, secret, name)

    assert unwrap(wrapping, wrapped, name) == secret
    assert secret not in wrapped
    with pytest.raises(CannotUnseal):
        unwrap(new_secret(), wrapped, name)
    if other != name:
        with pytest.raises(CannotUnseal):
            unwrap(wrapping, wrapped, other)


@given(keys)
def test_a_key_shows_its_name_and_never_its_secret(key: Key) -> None:
    for shown in (repr(key), str(key), f"{[key]}"):
        assert str(key.id) in shown
        assert key.secret.hex() not in shown
        assert repr(key.secret)[2:-1] not in shown


@pytest.mark.req("4.4.1")
@given(secrets, st.text(max_size=20), st.text(max_size=40))
def test_a_search_token_is_the_same_each_time_and_fits_the_column(index_key: bytes, kind: str, text: str) -> None:
    token = blind_token(index_key, kind, text)

    assert token == blind_token(index_key, kind, text)
    assert -(2**63) <= token < 2**63
    assert token != blind_token(new_secret(), kind, text)


@given(keys, st.binary(max_size=28))
def test_a_refusal_never_says_what_or_whose(key: Key, junk: bytes) -> None:
    with pytest.raises(CannotUnseal) as refusal:
        unseal(key, b"\x01" + key.id.bytes + junk.ljust(28, b"\x00"), b"patient|asha")

    assert "asha" not in str(refusal.value)
    assert str(key.id) not in str(refusal.value)
    assert refusal.value.__cause__ is None
