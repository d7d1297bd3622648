from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.contract import Control, Message, MessageKind
from ingest.decode import decode
from ingest.instruments.shipped import load
from ingest.received import INDIA
from tests.unit.ingest.transmissions import oru, received, recorded

PROFILE = load("mindray_bs")


def decoded(*segments: str, kind: str = "0") -> Message:
    message = decode(received(oru("1", *segments, kind=kind)), PROFILE)
    assert Message.model_validate_json(message.model_dump_json()) == message
    return message


def whole(message: Message) -> bytes:
    return message.envelope + b"".join(group.raw for group in message.groups)


def test_a_patients_transmission_is_read_as_the_profile_says() -> None:
    transmission = recorded("mindray_bs.hl7")

    message = decode(transmission, PROFILE)

    (group,) = message.groups
    assert (message.kind, message.type, message.format, message.error) == (MessageKind.PATIENT, "ORU^R01", "hl7", None)
    assert group.specimen == "26-000417"
    assert group.identity is not None
    assert group.identity.model_dump() == {
        "patient_number": "HN-000417",
        "name": "Deshmukh Asha",
        "sex": "female",
        "birth_on": date(1984, 6, 12),
    }
    glucose = group.observations[0]
    assert (glucose.sequence, glucose.code, glucose.text, glucose.value_text) == (1, "GLU", "Glucose", "104.2")
    assert (glucose.value, glucose.unit, glucose.flags, glucose.status) == (Decimal("104.2"), "mg/dL", ("H",), "F")
    assert glucose.observed_at == datetime(2026, 1, 23, 14, 9, 55, tzinfo=INDIA)
    assert glucose.run == "31"
    assert whole(message) == transmission.body


def test_values_below_the_range_words_and_unknown_codes_are_delivered_as_sent() -> None:
    message = decode(recorded("mindray_bs.hl7"), PROFILE)

    observations = {one.code: one for one in message.groups[0].observations}
    assert len(observations) == 7
    bilirubin = observations["TBIL"]
    assert (bilirubin.value_text, bilirubin.comparator, bilirubin.value) == ("<0.15", "<", Decimal("0.15"))
    assert bilirubin.flags == ("L", "LIN")
    assert observations["NA"].unit == "mmol/L"
    assert (observations["417"].text, observations["417"].value) == ("Lipase", Decimal(38))
    haemolysis = observations["HEM"]
    assert (haemolysis.value_text, haemolysis.value, haemolysis.unit) == ("+-", None, None)
    assert haemolysis.observed_at == datetime(2026, 1, 23, 14, 9, 12, tzinfo=INDIA)


def test_a_controls_value_stands_in_its_order() -> None:
    transmission = recorded("mindray_bs_control.hl7")

    message = decode(transmission, PROFILE)

    (group,) = message.groups
    assert message.kind is MessageKind.CONTROL
    assert group.control == Control(material="QC-CHEM", lot="L2309", level=3)
    assert (group.specimen, group.identity) == (None, None)
    (value,) = group.observations
    assert (value.code, value.value_text, value.unit) == ("GLU", "246.300000", "mg/dL")
    assert value.observed_at == datetime(2026, 1, 23, 6, 1, 43, tzinfo=INDIA)
    assert whole(message) == transmission.body


def test_two_controls_in_one_order_are_two_groups() -> None:
    transmission = recorded("mindray_bs_two_controls.hl7")

    message = decode(transmission, PROFILE)

    assert [group.control for group in message.groups] == [
        Control(material="QC-A", lot="L2309", level=1),
        Control(material="QC-B", lot="L2310", level=2),
    ]
    assert [group.observations[0].value for group in message.groups] == [Decimal("44.130291"), Decimal("157.5")]
    assert [group.observations[0].unit for group in message.groups] == ["U/L", "U/L"]
    assert whole(message) == transmission.body


def test_controls_sent_with_observations_are_read_from_them() -> None:
    message = decoded(
        "OBR|1||1|Mindray^BS||20260123060143|||||||QC-A|L1|20270131||1",
        "OBX|1|NM|GLU||80|mg/dL|||||F",
        "OBR|2||2|Mindray^BS||20260123060143|||||||QC-B|L2|20270131||2",
        "OBX|1|NM|GLU||250|mg/dL|||||F",
        kind="2",
    )

    assert [(group.control and group.control.level, group.observations[0].value) for group in message.groups] == [
        (1, Decimal(80)),
        (2, Decimal(250)),
    ]


@pytest.mark.parametrize("lacking", ["|||||||QC|L1|2027||X", "|||||||QC||2027||L", "||||||||L1|2027||L"])
def test_a_control_that_is_not_fully_named_is_delivered_without_a_name(lacking: str) -> None:
    message = decoded(f"OBR|1|GLU|Glucose|Mindray^BS||20260123060143{lacking}|1|1|80|mg/dL", kind="2")

    assert message.groups[0].control is None
    assert message.groups[0].observations[0].value == Decimal(80)


def test_a_calibration_is_kept_whole_and_is_no_patients() -> None:
    transmission = recorded("mindray_bs_calibration.hl7")

    message = decode(transmission, PROFILE)

    assert (message.kind, message.error) == (MessageKind.CALIBRATION, None)
    assert (message.groups[0].specimen, message.groups[0].identity, message.groups[0].observations) == (None, None, ())
    assert whole(message) == transmission.body


def test_each_patient_and_each_specimen_is_a_group_of_its_own() -> None:
    segments = (
        "PID|1||A",
        "ORC|RE",
        "OBR|1|S1",
        "OBX|1|NM|GLU||1",
        "OBR|2|S1",
        "OBX|1|NM|K||2",
        "ORC|RE",
        "OBR|3|S2",
        "OBX|1|NM|NA||3",
        "NTE|1||x",
        "PID|2||B",
        "OBR|4|S2",
        "OBX|1|NM|CL||4",
    )

    message = decoded(*segments)

    found = [
        (group.identity and group.identity.patient_number, group.specimen, [one.code for one in group.observations])
        for group in message.groups
    ]
    assert found == [("A", "S1", ["GLU", "K"]), ("A", "S2", ["NA"]), ("B", "S2", ["CL"])]
    assert [one.sequence for one in message.groups[0].observations] == [1, 2]
    assert message.groups[1].raw == b"ORC|RE\rOBR|3|S2\rOBX|1|NM|NA||3\rNTE|1||x\r"
    assert whole(message) == oru("1", *segments)


def test_two_orders_without_a_specimen_are_never_taken_for_one() -> None:
    message = decoded("PID|1||A", "OBR|1||7", "OBX|1|NM|GLU||1", "OBR|2||8", "OBX|1|NM|GLU||2")

    assert [(group.specimen, len(group.observations)) for group in message.groups] == [(None, 1), (None, 1)]


def test_what_the_order_says_holds_for_its_observations_only() -> None:
    message = decoded(
        "OBR|1|S1|7|||20260101080000", "OBX|1|NM|GLU||1", "OBR|2|S1|8|||20260101090000", "OBX|1|NM|GLU||2"
    )

    first, second = message.groups[0].observations
    assert (first.run, second.run) == ("7", "8")
    assert first.observed_at is not None
    assert second.observed_at is not None
    assert (second.observed_at - first.observed_at).total_seconds() == 3600


@pytest.mark.parametrize(
    ("observation", "comparator", "value"),
    [
        ("OBX|1|SN|X||<^0.15", "<", Decimal("0.15")),
        ("OBX|1|SN|X||^5", None, Decimal(5)),
        ("OBX|1|SN|X||^1^-^2", None, None),
        ("OBX|1|NM|X||5^6", None, None),
        ('OBX|1|NM|X||""', None, None),
    ],
)
def test_structured_numbers(observation: str, comparator: str | None, value: Decimal | None) -> None:
    (found,) = decoded("OBR|1|S1", observation).groups[0].observations

    assert (found.comparator, found.value) == (comparator, value)
    assert found.value_text == observation.split("|")[5]


def test_the_code_may_stand_in_the_fourth_component() -> None:
    (found,) = decoded("OBR|1|S1", "OBX|1|NM|^^^CREA^CREATININE||1.1|mg/dL|||||F").groups[0].observations

    assert (found.code, found.text) == ("CREA", "CREATININE")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no MSH segment"),
        (b"PID|1", "no MSH segment"),
        (oru("1") + oru("2"), "more than one MSH in one transmission"),
        (oru("1", "PID|1||A", "OBR|1|S1", kind="9"), "the profile does not know this kind of message"),
        (oru("1", "PID|1||A", "OBR|1|S1"), "no observation in it"),
        (oru("1"), "no observation in it"),
    ],
)
def test_what_cannot_be_decoded_is_delivered_whole_with_the_reason(body: bytes, reason: str) -> None:
    message = decode(received(body), PROFILE)

    assert message.error == reason
    assert whole(message) == body


def test_times_are_of_the_analysers_zone() -> None:
    zone = ZoneInfo("Asia/Dubai")

    message = decode(recorded("mindray_bs.hl7"), PROFILE, zone)

    assert message.groups[0].observations[0].observed_at == datetime(2026, 1, 23, 14, 9, 55, tzinfo=zone)


FIELD = st.text('0123456789.<>=-+^~&\\"abcXYZ éअ ', max_size=8)
SEGMENT = st.builds(
    lambda name, fields: "|".join([name, *fields]),
    st.sampled_from(["PID", "PV1", "ORC", "OBR", "OBX", "NTE", "SPM", "ZZZ", ""]),
    st.lists(FIELD, max_size=22),
)


@settings(deadline=None)
@given(st.lists(SEGMENT, max_size=8), st.sampled_from(["0", "1", "2", "", "AL"]), st.sampled_from(["\r", "\n", "\r\n"]))
def test_whatever_is_decoded_is_valid_by_the_contract_and_keeps_every_byte(
    segments: list[str], kind: str, ends: str
) -> None:
    transmission = received(oru("1", *segments, kind=kind, ends=ends))

    message = decode(transmission, PROFILE)

    assert Message.model_validate(message.model_dump()) == message
    assert Message.model_validate_json(message.model_dump_json()) == message
    assert whole(message) == transmission.body
    sent = sum(segment.startswith("OBX") for segment in segments)
    assert sum(len(group.observations) for group in message.groups) == sent or kind == "2"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(body: bytes) -> None:
    message = decode(received(body), PROFILE)

    assert Message.model_validate(message.model_dump()) == message
    assert whole(message) == body


PLAIN = st.text("0123456789.<>=-+abcXYZ ", max_size=8)


@given(st.lists(PLAIN, min_size=17, max_size=17))
def test_the_quick_way_of_plain_observations_gives_what_the_general_way_gives(fields: list[str]) -> None:
    fields = ["1", "NM", *fields[2:]]
    plain, general = "|".join(["OBX", *fields]), "|".join(["OBX", *fields, "a^b"])

    quick, slow = (decoded("OBR|1|S1|7|||20260101080000", text).groups[0].observations for text in (plain, general))

    assert quick == slow


GENERIC = load("generic_hl7")
OUL = (
    "MSH|^~\\&|LAW|A1|||20260123141503+0530||OUL^R22^OUL_R22|{id}|P|2.5.1\rPID|1||HN-1||Deshmukh^Asha\r"
    "SPM|1|26-000001||SER|||||||P\rOBR|1|||GLU\rOBX|1|NM|2345-7^Glucose^LN||5.1|mmol/L|||||F|||20260123141500\r"
    "SPM|2|26-000002||SER|||||||Q\rOBR|1|||GLU\rOBX|1|NM|2345-7^Glucose^LN||5.9|mmol/L|||||F\r"
)


@pytest.mark.req("1.7.4")
def test_any_analyser_that_keeps_to_hl7_is_read_specimen_by_specimen() -> None:
    body = OUL.format(id="1").encode()

    message = decode(received(body), GENERIC)

    patient, control = message.groups
    assert (patient.kind, patient.specimen, control.kind, control.control) == (
        MessageKind.PATIENT, "26-000001", MessageKind.CONTROL, None,
    )  # fmt: skip
    (glucose,) = patient.observations
    assert (glucose.code, glucose.text, glucose.value, glucose.unit) == ("2345-7", "Glucose", Decimal("5.1"), "mmol/L")
    assert whole(message) == body


def test_in_an_oru_the_specimen_follows_its_observations() -> None:
    segments = (
        "PID|1||HN-1",
        "OBR|1||F1|GLU",
        "OBX|1|NM|GLU||5",
        "SPM|1|26-000001",
        "OBR|2||F2|K",
        "OBX|1|NM|K||4",
        "SPM|1|26-000002",
        "OBR|3||F3|NA",
        "OBX|1|NM|NA||140",
    )
    body = oru("1", *segments)

    message = decode(received(body), GENERIC)

    assert [(group.specimen, [one.code for one in group.observations]) for group in message.groups] == [
        ("26-000001", ["GLU"]), ("26-000002", ["K"]), ("F3", ["NA"]),
    ]  # fmt: skip
    assert whole(message) == body


def test_a_specimens_role_that_nobody_knows_is_asked_about() -> None:
    message = decode(received(OUL.format(id="1").replace("|Q\r", "|X\r").encode()), GENERIC)

    assert message.error == "the profile does not know this kind of message"
    assert message.groups == ()
