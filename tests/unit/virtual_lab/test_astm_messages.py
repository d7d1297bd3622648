"""What the virtual ASTM analysers write, by the letter, and as the shipped profiles read it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.astm.link import unframed
from ingest.contract import Control, Message, MessageKind
from ingest.decode import decode
from ingest.instruments.shipped import load
from ingest.virtual_lab.astm_analyser import frames
from ingest.virtual_lab.astm_messages import DIALECTS, rendered
from ingest.virtual_lab.messages import ControlMessage, PatientMessage, SentResult
from ingest.virtual_lab.patients import Person
from tests.unit.ingest.transmissions import received

AT = datetime(2026, 11, 24, 4, 45, tzinfo=UTC)
PERSON = Person(
    uhid="VL0000001", name="R. K. Meenakshi", phone=None, sex="female", birth_on=date(1969, 2, 3), birth_precision="day"
)
RESULTS = (
    SentResult(code="WBC", name="Leucocytes", text="7.6", unit="10*3/uL"),
    SentResult(code="PLT", name="Platelets", text="<5", unit="10*3/uL", flags=("L", "A")),
)
PATIENT = PatientMessage(specimen="26-000123", own_number=7, stated=PERSON, results=RESULTS, observed_at=AT)
CONTROL = ControlMessage(
    material="Chemistry control", lot_number="CC2602", level=2, code="HGB", name="Haemoglobin", text="12.1",
    unit="g/dL", mean=12, sd=0.2, observed_at=AT,
)  # fmt: skip
TEXTS = st.text(max_size=12)


def read(body: bytes, dialect: str) -> Message:
    return decode(received(body), load(dialect))


@pytest.mark.req("1.7.2")
def test_a_patient_is_what_a_sysmex_xn_writes() -> None:
    assert rendered(PATIENT, DIALECTS["sysmex_xn"], sent_at=AT).decode("ascii").split("\r") == [
        "H|\\^&|||    XN-1000^00-24^11001^^^^A1234||||||||E1394-97",
        "P|1|||VL0000001|^R. K.^Meenakshi||19690203|F",
        "O|1||^^             26-000123^B|^^^^WBC\\^^^^PLT|||||||N||||||||||||||F",
        "R|1|^^^^WBC^1|7.6|10*3/uL||N||F||||20261124101500",
        "R|2|^^^^PLT^1|<5|10*3/uL||L\\A||F||||20261124101500",
        "L|1|N",
        "",
    ]


def test_a_control_is_what_the_standard_writes() -> None:
    assert rendered(CONTROL, DIALECTS["generic_astm"], sent_at=AT).decode("ascii").split("\r") == [
        "H|\\^&|||IMM-1^Virtual^1.0|||||LIS||P|LIS2-A2|20261124101500",
        "P|1",
        "O|1|QC-Chemistry control-CC2602-2||^^^HGB|R||20261124101500||||Q||||||||||||||F",
        "R|1|^^^HGB|12.1|g/dL||N||F||||20261124101500",
        "L|1|N",
        "",
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_shipped_profile_reads_what_its_analyser_writes(dialect: str) -> None:
    patient, control = (
        read(rendered(message, DIALECTS[dialect], sent_at=AT), dialect) for message in (PATIENT, CONTROL)
    )

    assert patient.groups[0].identity is not None
    assert patient.groups[0].identity.model_dump() == {
        "patient_number": "VL0000001", "name": patient.groups[0].identity.name, "sex": "female",
        "birth_on": date(1969, 2, 3),
    }  # fmt: skip
    assert set((patient.groups[0].identity.name or "").split()) == {"R.", "K.", "Meenakshi"}
    assert [(one.code, one.value, one.comparator, one.observed_at) for one in patient.groups[0].observations] == [
        ("WBC", Decimal("7.6"), None, AT), ("PLT", Decimal(5), "<", AT),
    ]  # fmt: skip
    assert control.kind is MessageKind.CONTROL
    assert control.groups[0].control == Control(material="Chemistry control", lot="CC2602", level=2)


@given(TEXTS.filter(lambda text: text.strip()), TEXTS, st.sampled_from(sorted(DIALECTS)))
def test_no_text_is_taken_for_a_separator(name: str, specimen: str, dialect: str) -> None:
    asked = replace(PATIENT, specimen=f"26{specimen}1", stated=replace(PERSON, name=name))

    message = read(rendered(asked, DIALECTS[dialect], sent_at=AT), dialect)

    assert message.error is None
    assert [len(group.observations) for group in message.groups] == [2]


@given(st.binary(min_size=1, max_size=500), st.integers(1, 300))
def test_its_frames_are_frames(body: bytes, size: int) -> None:
    text = bytes(byte for byte in body if byte >= 0x20) + b"\r"

    (transmission,) = unframed(b"".join(frames(text, size)))

    assert (transmission.body, transmission.faults) == (text, ())


def test_what_is_no_message_of_an_analyser_is_refused() -> None:
    with pytest.raises(TypeError):
        rendered(object(), DIALECTS["sysmex_xn"], sent_at=AT)  # type: ignore[arg-type]
