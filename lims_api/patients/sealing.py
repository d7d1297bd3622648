"""A patient's identity as ciphertext and as blind tokens; the importer uses these as registration does."""

from datetime import date
from typing import Protocol
from uuid import UUID

from lims_api.core.crypto import Key
from lims_api.core.keys import KeyStore
from lims_api.patients.age import BirthPrecision
from lims_api.patients.names import Token, tokens_of
from lims_api.patients.schemas import Identity

_BETWEEN = "|"


class SealedPatient(Protocol):
    """The sealed columns of a patient, as an ORM row or a plain one."""

    @property
    def uhid_sealed(self) -> bytes: ...
    @property
    def name_sealed(self) -> bytes: ...
    @property
    def phone_sealed(self) -> bytes | None: ...
    @property
    def birth_sealed(self) -> bytes | None: ...


class Sealer:
    """Seals and opens one patient's columns; every ciphertext is bound to its column and row."""

    def __init__(self, keys: KeyStore, key: Key, organization_id: UUID, patient_id: UUID) -> None:
        self._keys, self._key = keys, key
        self._organization_id, self._patient_id = organization_id, patient_id

    def seal(self, column: str, text: str) -> bytes:
        """Ciphertext for one column of `patients`."""
        return self._keys.seal(text, self._key, self._organization_id, f"patients.{column}", self._patient_id)

    def open(self, column: str, sealed: bytes) -> str:
        """What a column holds; `CannotUnseal` when it was altered, moved, or its key is gone."""
        return self._keys.unseal(sealed, self._key, self._organization_id, f"patients.{column}", self._patient_id)

    def columns(self, identity: Identity) -> dict[str, bytes | None]:
        """Every sealed column of a new patient."""
        birth = f"{identity.birth_on}{_BETWEEN}{identity.birth_precision}" if identity.birth_on else None
        return {
            "uhid_sealed": self.seal("uhid_sealed", identity.uhid),
            "name_sealed": self.seal("name_sealed", identity.name),
            "phone_sealed": self.seal("phone_sealed", identity.phone) if identity.phone else None,
            "birth_sealed": self.seal("birth_sealed", birth) if birth else None,
        }

    def identity(self, row: SealedPatient) -> Identity:
        """Who a stored patient is."""
        birth = self.open("birth_sealed", row.birth_sealed) if row.birth_sealed else ""
        born, _, precision = birth.partition(_BETWEEN)
        return Identity(
            uhid=self.open("uhid_sealed", row.uhid_sealed),
            name=self.open("name_sealed", row.name_sealed),
            phone=self.open("phone_sealed", row.phone_sealed) if row.phone_sealed else None,
            birth_on=date.fromisoformat(born) if born else None,
            birth_precision=BirthPrecision(precision) if precision else None,
        )


def number_token(keys: KeyStore, organization_id: UUID, uhid: str) -> int:
    """The token by which a UHID is unique and found; case makes no difference."""
    return keys.blind_token(organization_id, "uhid", uhid.casefold())


def phone_token(keys: KeyStore, organization_id: UUID, phone: str) -> int:
    """The token of a phone number in E.164."""
    return keys.blind_token(organization_id, "phone", phone)


def name_tokens(keys: KeyStore, organization_id: UUID, tokens: frozenset[Token]) -> set[int]:
    """Blind tokens of the parts of a name."""
    return {keys.blind_token(organization_id, token.kind, token.text) for token in tokens}


def blind_tokens(keys: KeyStore, organization_id: UUID, name: str, phone: str | None) -> set[int]:
    """Everything a patient is found by, beside the UHID."""
    tokens = name_tokens(keys, organization_id, tokens_of(name))
    return tokens | {phone_token(keys, organization_id, phone)} if phone else tokens
