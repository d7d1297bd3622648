"""Passwords and tokens."""

from __future__ import annotations

import time
import unicodedata
from hashlib import sha256
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.identity.authentication import hash_password, new_token, password_matches, token_sha256

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def hashed() -> str:
    return hash_password(PASSWORD)


def test_a_password_matches_its_own_hash_alone(hashed: str) -> None:
    assert password_matches(hashed, PASSWORD)
    for wrong in ("", PASSWORD[:-1], PASSWORD.title(), PASSWORD + " ", hashed):
        assert not password_matches(hashed, wrong)


def test_two_hashes_of_one_password_differ_and_are_argon2id(hashed: str) -> None:
    again = hash_password(PASSWORD)

    assert again != hashed
    assert hashed.startswith("$argon2id$")
    assert PASSWORD not in hashed
    assert password_matches(again, PASSWORD)


def test_a_password_is_the_same_in_any_normal_form() -> None:
    typed = "Müller ﬁve 5"

    assert password_matches(hash_password(unicodedata.normalize("NFD", typed)), unicodedata.normalize("NFC", typed))


def test_nobody_has_no_password_and_nothing_is_nobodys_hash() -> None:
    assert not password_matches(None, "")
    assert not password_matches("", PASSWORD)
    assert not password_matches("not a hash", PASSWORD)


def test_a_stranger_takes_as_long_as_a_wrong_password(hashed: str) -> None:
    def seconds(stored: str | None) -> float:
        started = time.perf_counter()
        password_matches(stored, "wrong")
        return time.perf_counter() - started

    nobody, somebody = (median(seconds(stored) for _ in range(5)) for stored in (None, hashed))

    assert nobody > somebody / 3
    assert somebody > nobody / 3


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(1_000)}

    assert len(tokens) == 1_000
    assert all(len(token) >= 43 and token.isascii() for token in tokens)


@given(st.text(max_size=60))
def test_a_token_is_known_by_its_sha256(token: str) -> None:
    try:
        expected = sha256(token.encode()).digest()
    except UnicodeEncodeError:
        return
    assert token_sha256(token) == expected
