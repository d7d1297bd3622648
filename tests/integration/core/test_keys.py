"""The key store on its database: made, found, cached for a while, destroyed for good."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lims_api.core import keys as keys_module
from lims_api.core.crypto import CannotUnseal, new_secret
from lims_api.core.ids import uuid7
from lims_api.core.keys import KeyStore, MasterKeyUnusable, NoKey, make_master_key, read_master_key
from tests.conftest import Environment

ROOT = Path(__file__).parents[3]
NAME = "patients.name_sealed"


@pytest.fixture
def tenant(environment: Environment) -> UUID:
    organization = uuid7()
    environment.keys.make_organization_keys(organization)
    return organization


@pytest.fixture
def other(environment: Environment) -> Iterator[KeyStore]:
    """Another process's store on the same database: it shares no cache."""
    store = KeyStore(environment.url("lims_keys"), environment.master)
    yield store
    store.close()


@pytest.mark.req("4.4.1")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=200))
def test_a_text_sealed_for_a_patient_opens_again_in_another_process(
    environment: Environment, tenant: UUID, other: KeyStore, text: str
) -> None:
    patient = uuid7()
    (key,) = environment.keys.make_patient_keys(tenant, [patient])

    sealed = environment.keys.seal(text, key, tenant, NAME, patient)

    assert other.unseal(sealed, other.patient_key(tenant, patient), tenant, NAME, patient) == text


@pytest.mark.req("4.4.1")
def test_no_key_lies_in_the_database_unwrapped(environment: Environment, tenant: UUID) -> None:
    patients = [uuid7() for _ in range(5)]
    made = environment.keys.make_patient_keys(tenant, patients)

    with psycopg.connect(environment.cluster.superuser_dsn(environment.keys_name)) as connection:
        stored = b"".join(row[0] for row in connection.execute("select wrapped from patient_keys"))
        wrapped = connection.execute("select wrapped from organization_keys").fetchall()

    assert wrapped
    for key in [*made, environment.keys.organization_key(tenant)]:
        assert key.secret not in stored
        assert all(key.secret not in row[0] for row in wrapped)


def test_two_organizations_have_different_keys_and_tokens(environment: Environment, tenant: UUID) -> None:
    rival = uuid7()
    environment.keys.make_organization_keys(rival)

    assert environment.keys.organization_key(tenant) != environment.keys.organization_key(rival)
    assert environment.keys.blind_token(tenant, "phone", "9") != environment.keys.blind_token(rival, "phone", "9")


def test_making_an_organizations_keys_again_keeps_the_first(
    environment: Environment, tenant: UUID, other: KeyStore
) -> None:
    before = environment.keys.organization_key(tenant)
    other.make_organization_keys(tenant)

    assert other.organization_key(tenant) == before


@pytest.mark.req("3.13.1")
def test_a_patients_key_is_not_given_to_another_organization_even_from_the_cache(
    environment: Environment, tenant: UUID
) -> None:
    rival, patient = uuid7(), uuid7()
    environment.keys.make_organization_keys(rival)
    environment.keys.make_patient_keys(tenant, [patient])

    assert environment.keys.patient_keys(rival, [patient]) == {}
    assert set(environment.keys.patient_keys(tenant, [patient])) == {patient}


def test_keys_of_many_patients_come_in_one_question(environment: Environment, tenant: UUID, other: KeyStore) -> None:
    patients = [uuid7() for _ in range(300)]
    made = environment.keys.make_patient_keys(tenant, patients)

    assert other.patient_keys(tenant, [*patients, uuid7()]) == dict(zip(patients, made, strict=True))


def test_the_organizations_own_sealing_opens_again(environment: Environment, tenant: UUID, other: KeyStore) -> None:
    row = uuid7()
    sealed = environment.keys.seal_for_organization("Dr Asha Rao", tenant, "users.full_name_sealed", row)

    assert other.unseal_for_organization(sealed, tenant, "users.full_name_sealed", row) == "Dr Asha Rao"
    with pytest.raises(CannotUnseal):
        other.unseal_for_organization(sealed, tenant, "users.full_name_sealed", uuid7())


def test_a_value_sealed_under_a_retired_key_still_opens(
    environment: Environment, tenant: UUID, other: KeyStore
) -> None:
    row, patient = uuid7(), uuid7()
    sealed = environment.keys.seal_for_organization("old", tenant, "users.full_name_sealed", row)
    environment.keys.make_patient_keys(tenant, [patient])
    with environment.connect("lims_keys") as connection:
        connection.execute(
            "update organization_keys set retired_at = now() where organization_id = %s and purpose = 'seal'", [tenant]
        )
    other.make_organization_keys(tenant)

    assert other.organization_key(tenant) != environment.keys.organization_key(tenant)
    assert other.unseal_for_organization(sealed, tenant, "users.full_name_sealed", row) == "old"
    assert other.patient_key(tenant, patient) == environment.keys.patient_key(tenant, patient)


# erasure


@pytest.mark.req("4.1.3")
def test_an_erased_patients_key_is_gone_here_at_once(environment: Environment, tenant: UUID) -> None:
    patient = uuid7()
    (key,) = environment.keys.make_patient_keys(tenant, [patient])
    sealed = environment.keys.seal("Asha", key, tenant, NAME, patient)

    assert environment.keys.destroy_patient(tenant, patient) == 1

    with pytest.raises(NoKey):
        environment.keys.patient_key(tenant, patient)
    assert sealed
    assert environment.keys.destroy_patient(tenant, patient) == 0, "once more is harmless"


@pytest.mark.req("4.1.3")
def test_an_erased_patients_key_leaves_another_processs_memory_when_its_time_is_up(
    environment: Environment, tenant: UUID, other: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = uuid7()
    environment.keys.make_patient_keys(tenant, [patient])
    monkeypatch.setattr(keys_module, "CACHE_SECONDS", 0.3)
    other.patient_key(tenant, patient)
    environment.keys.destroy_patient(tenant, patient)

    threading.Event().wait(0.35)

    with pytest.raises(NoKey):
        other.patient_key(tenant, patient)


def test_the_time_is_half_a_minute_at_most() -> None:
    assert keys_module.CACHE_SECONDS <= 30


READER = """
import os, sys
from uuid import UUID
from lims_api.core.keys import KeyStore, NoKey
store = KeyStore(os.environ["KEYS_URL"], bytes.fromhex(os.environ["MASTER"]))
try:
    store.patient_key(UUID(sys.argv[1]), UUID(sys.argv[2]))
    print("opened")
except NoKey:
    print("no key")
store.close()
"""


@pytest.mark.req("4.1.3")
def test_another_process_finds_no_key_after_erasure(environment: Environment, tenant: UUID) -> None:
    patient = uuid7()
    environment.keys.make_patient_keys(tenant, [patient])
    surrounding = {**os.environ, "KEYS_URL": environment.url("lims_keys"), "MASTER": environment.master.hex()}
    command = [sys.executable, "-c", READER, str(tenant), str(patient)]

    before = subprocess.run(command, cwd=ROOT, env=surrounding, capture_output=True, text=True, check=True).stdout
    environment.keys.destroy_patient(tenant, patient)
    after = subprocess.run(command, cwd=ROOT, env=surrounding, capture_output=True, text=True, check=True).stdout

    assert (before.strip(), after.strip()) == ("opened", "no key")


@pytest.mark.req("4.1.3")
def test_an_erased_patient_gets_no_new_key(environment: Environment, tenant: UUID, other: KeyStore) -> None:
    erased, fresh = uuid7(), uuid7()
    environment.keys.make_patient_keys(tenant, [erased])
    environment.keys.destroy_patient(tenant, erased)

    with pytest.raises(NoKey):
        other.make_patient_keys(tenant, [fresh, erased])

    assert other.patient_keys(tenant, [fresh, erased]) == {}, "all or none"


@pytest.mark.req("4.1.3")
def test_a_key_that_comes_back_from_an_older_copy_opens_nothing(
    environment: Environment, tenant: UUID, other: KeyStore
) -> None:
    patient = uuid7()
    environment.keys.make_patient_keys(tenant, [patient])
    with environment.connect("lims_keys") as connection:
        old = connection.execute("select * from patient_keys where patient_id = %s", [patient]).fetchone()
        assert old is not None
        connection.commit()
        environment.keys.destroy_patient(tenant, patient)
        connection.execute("insert into patient_keys values (%s, %s, %s, %s, %s, %s)", old)

    with pytest.raises(NoKey):
        other.patient_key(tenant, patient)


@pytest.mark.req("4.1.3")
def test_erasing_leaves_the_neighbours_alone(environment: Environment, tenant: UUID, other: KeyStore) -> None:
    gone, kept = uuid7(), uuid7()
    environment.keys.make_patient_keys(tenant, [gone, kept])

    environment.keys.destroy_patient(tenant, gone)

    assert set(other.patient_keys(tenant, [gone, kept])) == {kept}


@pytest.mark.req("4.1.3")
def test_after_rewriting_no_page_holds_a_destroyed_key(environment: Environment, tenant: UUID) -> None:
    patients = [uuid7() for _ in range(20)]
    environment.keys.make_patient_keys(tenant, patients)
    with psycopg.connect(environment.cluster.superuser_dsn(environment.keys_name), autocommit=True) as connection:
        stored = connection.execute("select wrapped from patient_keys where organization_id = %s", [tenant]).fetchall()
        for patient in patients:
            environment.keys.destroy_patient(tenant, patient)

        environment.keys.rewrite()

        connection.execute("checkpoint")
        file = connection.execute("select pg_read_binary_file(pg_relation_filepath('patient_keys'))").fetchone()
    assert len(stored) == 20
    assert file is not None
    assert not [wrapped for (wrapped,) in stored if wrapped in file[0]]


# the master key


@pytest.mark.req("4.4.1")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o777])
def test_a_master_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "master.key"
    make_master_key(file)
    file.chmod(mode)

    with pytest.raises(MasterKeyUnusable, match="chmod 600"):
        read_master_key(file)


@pytest.mark.parametrize("content", ["", "not hex at all", "00" * 31, "00" * 33, "zz" * 32])
def test_a_master_key_that_is_not_32_bytes_of_hex_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "master.key"
    file.write_text(content)
    file.chmod(0o600)

    with pytest.raises(MasterKeyUnusable, match="32 bytes") as refusal:
        read_master_key(file)
    assert not content or content not in str(refusal.value)


def test_a_missing_master_key_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnusable, match="recovery sheet"):
        read_master_key(tmp_path / "master.key")


def test_a_master_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "master.key"

    made = make_master_key(file)

    assert file.stat().st_mode & 0o777 == 0o600
    assert make_master_key(file) == read_master_key(file) == made


def test_under_another_master_key_nothing_opens(environment: Environment, tenant: UUID) -> None:
    store = KeyStore(environment.url("lims_keys"), new_secret())

    with pytest.raises(CannotUnseal):
        store.organization_key(tenant)

    store.close()


def test_no_role_of_the_operational_database_gets_into_the_key_store(environment: Environment) -> None:
    url = environment.url("lims_app", driver="postgresql").replace(environment.name, environment.keys_name)

    with psycopg.connect(environment.cluster.superuser_dsn(environment.keys_name), autocommit=True) as connection:
        connection.execute(f'revoke connect on database "{environment.keys_name}" from public'.encode())

    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(url)
