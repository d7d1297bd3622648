from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256

from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from ingest.contract import Message, MessageKind
from ingest.decode import decode
from ingest.instruments import shipped
from ingest.received import Received
from ingest.virtual_lab.messages import ControlMessage, PatientMessage, Sendable, SentResult, escaped, rendered
from ingest.virtual_lab.patients import Person

AT = datetime(2026, 11, 24, 4, 45, tzinfo=UTC)
PERSON = Person(
    uhid="VL0000001", name="R. K. Meenakshi", phone=None, sex="female", birth_on=date(1969, 2, 3), birth_precision="day"
)
RESULTS = (
    SentResult(code="GLU", name="Glucose", text="95", unit="mg/dL"),
    SentResult(code="TBIL", name="Bilirubin, total", text="<0.10", unit="mg/dL", flags=("LIN", "H")),
)
PATIENT = PatientMessage(specimen="26-000123", own_number=7, stated=PERSON, results=RESULTS, observed_at=AT)
CONTROL = ControlMessage(
    material="Chemistry control", lot_number="CC2602", level=2, code="K", name="Potassium", text="6.1", unit="mmol/L",
    mean=6.1, sd=0.08, observed_at=AT,
)  # fmt: skip


def _decoded(message: Sendable) -> Message:
    body = rendered(message, control_id=3, sent_at=AT)
    received = Received(
        channel="BS480-1", control_id="3", body_sha256=sha256(body).hexdigest(), received_at=AT, body=body
    )
    return decode(received, shipped.load("mindray_bs"))


def test_a_patients_message_is_what_a_mindray_bs_writes() -> None:
    assert rendered(PATIENT, control_id=3, sent_at=AT).decode("ascii").split("\r") == [
        "MSH|^~\\&|Mindray|BS-480|||20261124101500||ORU^R01|3|P|2.3.1||||0||ASCII",
        "PID|1||VL0000001||Meenakshi^R. K.||19690203|F",
        "OBR|1|26-000123|7|Mindray^BS-480|||20261124101500",
        "OBX|1|NM|GLU|Glucose|95|mg/dL|||||F|||20261124101500",
        "OBX|2|NM|TBIL|Bilirubin, total|<0.10|mg/dL||LIN~H|||F|||20261124101500",
        "",
    ]


def test_an_independent_parser_reads_the_fields() -> None:
    parsed = parse_message(rendered(PATIENT, control_id=3, sent_at=AT).decode(), find_groups=False)

    header, patient, order = parsed.msh, parsed.pid, parsed.obr
    assert header.msh_9.to_er7() == "ORU^R01"
    assert header.msh_10.to_er7() == "3"
    assert header.msh_12.to_er7() == "2.3.1"
    assert header.msh_16.to_er7() == "0"
    assert header.msh_18.to_er7() == "ASCII"
    assert patient.pid_3.to_er7() == "VL0000001"
    assert patient.pid_5.to_er7() == "Meenakshi^R. K."
    assert order.obr_2.to_er7() == "26-000123"
    assert [observation.obx_5.to_er7() for observation in parsed.obx] == ["95", "<0.10"]
    assert [observation.obx_11.to_er7() for observation in parsed.obx] == ["F", "F"]


def test_the_gateways_profile_reads_a_patients_message() -> None:
    found = _decoded(PATIENT)

    (group,) = found.groups
    assert (found.kind, found.error, group.specimen) == (MessageKind.PATIENT, None, "26-000123")
    assert group.identity is not None
    assert group.identity.patient_number == "VL0000001"
    assert set((group.identity.name or "").split()) == {"R.", "K.", "Meenakshi"}
    assert (group.identity.sex, group.identity.birth_on) == ("female", date(1969, 2, 3))
    glucose, bilirubin = group.observations
    assert (glucose.code, glucose.value, glucose.unit, glucose.flags) == ("GLU", Decimal(95), "mg/dL", ())
    assert (bilirubin.comparator, bilirubin.value, bilirubin.flags) == ("<", Decimal("0.10"), ("LIN", "H"))
    assert glucose.observed_at == AT
    assert glucose.status == "F"


def test_the_gateways_profile_reads_a_control() -> None:
    found = _decoded(CONTROL)

    (group,) = found.groups
    assert (found.kind, found.error, group.specimen, group.identity) == (MessageKind.CONTROL, None, None, None)
    assert group.control is not None
    assert (group.control.material, group.control.lot, group.control.level) == ("Chemistry control", "CC2602", 2)
    (observation,) = group.observations
    assert (observation.code, observation.value, observation.unit) == ("K", Decimal("6.1"), "mmol/L")
    assert observation.observed_at == AT


def test_a_birth_date_is_only_as_exact_as_it_is_known() -> None:
    vague = replace(PATIENT, stated=replace(PERSON, birth_precision="year"))

    assert b"||1969|F\r" in rendered(vague, control_id=1, sent_at=AT)


@given(name=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30))
def test_no_name_breaks_a_message(name: str) -> None:
    found = _decoded(replace(PATIENT, stated=replace(PERSON, name=name)))

    identity = found.groups[0].identity
    assert identity is not None
    assert identity.name == name
    assert len(found.groups[0].observations) == len(RESULTS)


@given(st.text())
def test_escaped_text_holds_no_separator(text: str) -> None:
    assert not set(escaped(text)) & set("|^&~\r\n")
