"""ASTM transmissions become the contract's messages: what was sent, group by group, and nothing guessed."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.astm.decode import INCOMPLETE
from ingest.astm.link import unframed
from ingest.contract import Control, Message, MessageKind
from ingest.decode import decode
from ingest.instruments.shipped import load
from ingest.received import INDIA, NOTHING_MEASURED
from tests.unit.ingest.transmissions import DATA, received

SYSMEX, GENERIC = load("sysmex_xn"), load("generic_astm")


def recorded(name: str) -> bytes:
    (transmission,) = unframed((DATA / name).read_bytes())
    assert transmission.faults == ()
    return transmission.body


def decoded(body: bytes, profile: str = "generic_astm") -> Message:
    message = decode(received(body), load(profile))
    assert Message.model_validate_json(message.model_dump_json()) == message
    return message


def whole(message: Message) -> bytes:
    return message.envelope + b"".join(group.raw for group in message.groups)


@pytest.mark.req("1.7.4")
def test_a_sysmex_xn_is_read_with_its_habits() -> None:
    body = recorded("sysmex_xn.astm")

    message = decoded(body, "sysmex_xn")

    (group,) = message.groups
    assert (message.kind, message.type, message.format, message.error) == (MessageKind.PATIENT, "result", "astm", None)
    assert group.specimen == "26-000418"
    assert group.identity is not None
    assert group.identity.model_dump() == {
        "patient_number": "HN-000418", "name": "Asha Deshmukh", "sex": "female", "birth_on": date(1984, 6, 12),
    }  # fmt: skip
    assert [one.code for one in group.observations] == ["WBC", "RBC", "HGB", "PLT", "NEUT#"]
    leucocytes, _, haemoglobin, platelets, neutrophils = group.observations
    assert (leucocytes.value, leucocytes.unit, leucocytes.status) == (Decimal("7.65"), "10*3/uL", "F")
    assert leucocytes.observed_at == datetime(2026, 1, 23, 14, 20, 5, tzinfo=INDIA)
    assert haemoglobin.flags == ("L", "Positive_Count")
    assert (platelets.value, platelets.comparator, platelets.value_text) == (Decimal(1), "<", "<1")
    assert (neutrophils.value, neutrophils.value_text, neutrophils.status) == (None, "----", "X")
    assert whole(message) == body


def test_what_the_analyser_says_of_the_whole_specimen_flags_each_of_its_values() -> None:
    flags = [one.flags for one in decoded(recorded("sysmex_xn.astm"), "sysmex_xn").groups[0].observations]

    assert all("Positive_Count" in each for each in flags)
    assert not any("SCAT_WDF" in each or "PLT_Clumps?" in each for each in flags)


@pytest.mark.req("1.7.4")
@pytest.mark.parametrize(
    ("specimen", "action", "control"),
    [
        ("QC-31941102", "Q", Control(material="XN-CHECK", lot="3194", level=2)),
        ("QC-Blood control-HC2611-3", "Q", Control(material="Blood control", lot="HC2611", level=3)),
        ("QC-Blood control-HC2611-3", "N", Control(material="Blood control", lot="HC2611", level=3)),
        ("26-000001", "Q", None),
        ("QC-31941109", "Q", None),
    ],
)
def test_a_control_is_told_by_its_action_or_its_specimen_id(
    specimen: str, action: str, control: Control | None
) -> None:
    body = (
        recorded("sysmex_xn_control.astm")
        .replace(b"QC-31941102", specimen.encode())
        .replace(b"|Q|", b"|%c|" % ord(action))
    )

    message = decoded(body, "sysmex_xn")

    (group,) = message.groups
    assert message.kind is MessageKind.CONTROL
    assert (group.kind, group.control, group.identity) == (MessageKind.CONTROL, control, None)
    assert (group.specimen, [one.value for one in group.observations]) == (specimen, [Decimal("7.02"), Decimal("12.1")])


def test_one_transmission_of_two_patients_and_a_control_is_three_groups() -> None:
    body = recorded("generic_astm.astm")

    message = decoded(body)

    assert message.kind is MessageKind.PATIENT
    assert [(group.kind, group.specimen) for group in message.groups] == [
        (MessageKind.PATIENT, "26-000419"),
        (MessageKind.PATIENT, "26-000420"),
        (MessageKind.CONTROL, "QC-Immuno control-IC2611-2"),
    ]
    assert [group.identity and group.identity.patient_number for group in message.groups] == [
        "HN-000419", "HN-000419", None,
    ]  # fmt: skip
    assert message.groups[2].control == Control(material="Immuno control", lot="IC2611", level=2)
    assert whole(message) == body
    assert message.groups[0].raw.startswith(b"P|1|")
    assert message.groups[2].raw.endswith(b"L|1|N\r")


def test_values_flags_and_statuses_are_as_sent() -> None:
    thyroid, inflammation, _ = decoded(recorded("generic_astm.astm")).groups

    tsh, ft4 = thyroid.observations
    assert (tsh.comparator, tsh.value, tsh.unit, tsh.flags) == ("<", Decimal("0.01"), "m[IU]/L", ("LL", "COMMENT"))
    assert (ft4.flags, ft4.status) == (("H", "HH"), "C")
    (crp,) = inflammation.observations
    assert (crp.value_text, crp.value, crp.unit, crp.flags, crp.status) == ("NEGATIVE", None, None, (), "F")


@pytest.mark.req("1.7.5")
@pytest.mark.parametrize("lost", [8, 60, 300])
def test_without_its_terminator_a_transmission_gives_bytes_and_identity_and_no_value(lost: int) -> None:
    body = recorded("sysmex_xn.astm")[:-lost]

    message = decoded(body, "sysmex_xn")

    assert message.error == INCOMPLETE
    assert [(group.specimen, group.observations) for group in message.groups] == [("26-000418", ())]
    assert whole(message) == body


@pytest.mark.parametrize(
    ("body", "error", "kind"),
    [
        (b"", "it does not begin with a header record", ""),
        (b"R|1|^^^GLU|5\r", "it does not begin with a header record", ""),
        (b"H|\\^&\rL|1|N\r", NOTHING_MEASURED, "other"),
        (b"H|\\^&\rQ|1|^S1||ALL\rL|1|N\r", NOTHING_MEASURED, "query"),
        (b"H|\\^&\rP|1\rO|1|S1||^^^GLU\rL|1|N\r", NOTHING_MEASURED, "order"),
        (b"H|\\^&\rP|1\rH|\\^&\rL|1|N\r", "more than one header in one transmission", "other"),
    ],
)
def test_what_holds_no_result_is_delivered_with_the_reason_and_its_bytes(body: bytes, error: str, kind: str) -> None:
    message = decoded(body)

    assert (message.error, message.type) == (error, kind)
    assert whole(message) == body


def test_two_specimens_without_an_id_are_never_one() -> None:
    body = b"H|\\^&\rP|1\rO|1|||^^^A\rR|1|^^^A|1\rO|2|||^^^B\rR|1|^^^B|2\rL|1|N\r"

    assert [(group.specimen, len(group.observations)) for group in decoded(body).groups] == [(None, 1), (None, 1)]


def test_another_patient_keeps_nothing_of_the_one_before() -> None:
    body = b"H|\\^&\rP|1|A|||X^Y\rO|1|S1||^^^A\rR|1|^^^A|1\rP|2\rO|1|S1||^^^A\rR|1|^^^A|2\rL|1|N\r"

    first, second = decoded(body).groups

    assert first.identity is not None
    assert second.identity is None


def test_names_in_any_script_are_read() -> None:
    body = "H|\\^&\rP|1|1|||देशमुख^आशा\rO|1|S1\rR|1|^^^A|1\rL|1|N\r".encode()

    message = decoded(body)

    assert message.groups[0].identity is not None
    assert message.groups[0].identity.name == "देशमुख आशा"
    assert whole(message) == body


LINES = st.lists(
    st.sampled_from([b"P|1|A", b"P|2", b"O|1|S1||^^^A", b"O|2|S2", b"O|3||^^ QC-1-2-3", b"R|1|^^^A|5|g", b"C|1|I|x|I",
                     b"M|1", b"Q|1|^S", b"L|1|N", b"H|\\^&", b"", b"junk\xff"]),
    max_size=12,
)  # fmt: skip


@given(LINES, st.sampled_from([b"\r", b"\n", b"\r\n"]), st.sampled_from(["sysmex_xn", "generic_astm"]))
def test_whatever_is_sent_no_byte_and_no_result_is_lost(lines: list[bytes], end: bytes, profile: str) -> None:
    body = b"".join(line + end for line in [b"H|\\^&|||x", *lines])

    message = decoded(body, profile)

    assert whole(message) == body
    if message.error is None:
        results = sum(line.startswith(b"R") for line in lines)
        assert sum(len(group.observations) for group in message.groups) == results
