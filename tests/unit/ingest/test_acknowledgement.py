from datetime import UTC, datetime

import pytest
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.hl7.acknowledgement import (
    ACCEPTED,
    INTERNAL_ERROR,
    REQUIRED_FIELD_MISSING,
    UNSUPPORTED_TYPE,
    Answer,
    Condition,
    Header,
    acknowledgement,
    fresh,
    header,
)
from ingest.hl7.codec import parse
from tests.unit.ingest.transmissions import oru, recorded

AT = datetime(2026, 1, 23, 8, 45, 12, tzinfo=UTC)
CASES = [
    (Answer.TAKEN, ACCEPTED),
    (Answer.FAILED, INTERNAL_ERROR),
    (Answer.REFUSED, UNSUPPORTED_TYPE),
    (Answer.REFUSED, REQUIRED_FIELD_MISSING),
]
VERSIONS = ["2.2", "2.3.1", "2.5.1", "2.8", "3.0", ""]
NAMES = st.text("ABCxyz09 .-^", max_size=12)


def answer(body: bytes, kind: Answer = Answer.TAKEN, condition: Condition = ACCEPTED) -> bytes:
    sent = header(body, echo=(16, 18))
    assert sent is not None
    return acknowledgement(sent, kind, condition, AT)


def test_a_mindray_is_answered_as_its_manual_shows() -> None:
    assert answer(recorded("mindray_bs.hl7").body) == (
        b"MSH|^~\\&|||Mindray|BS-480|20260123084512||ACK^R01|417|P|2.3.1||||0||ASCII\rMSA|AA|417|Message accepted|||0\r"
    )


def test_a_control_is_answered_as_a_control() -> None:
    assert parse(answer(recorded("mindray_bs_control.hl7").body)).header.get(16) == "2"


@pytest.mark.parametrize(("kind", "condition"), CASES)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("control_id", ["1", "20260123-000017", "A_b.9"])
def test_a_filled_answer_equals_a_fresh_one_of_hl7apy(
    kind: Answer, condition: Condition, version: str, control_id: str
) -> None:
    body = f"MSH|^~\\&|Maker|Lab^1.2.3^ISO|LIS|Us|2026||ORU^R01|{control_id}|P|{version}".encode()
    sent = header(body)
    assert sent is not None

    filled = acknowledgement(sent, kind, condition, AT).decode()

    assert filled == fresh(sent, kind, condition, "20260123084512", control_id)
    read = parse_message(filled.replace("\\\\", "\\"), find_groups=False)
    assert read.msa.msa_1.to_er7() == kind.value
    assert read.msa.msa_2.to_er7() == control_id
    assert read.msh.msh_5.to_er7() == "Maker"
    assert read.msh.msh_3.to_er7() == "LIS"


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1", "2.8"])
def test_a_refusal_says_why_in_err(version: str) -> None:
    body = f"MSH|^~\\&|A|B|||2026||QRY^Q02|1|P|{version}".encode()

    read = parse(answer(body, Answer.REFUSED, UNSUPPORTED_TYPE))

    error = read.segments[2]
    assert error.name == "ERR"
    code = error.get(1, 4) if version == "2.3.1" else error.get(3)
    assert code == "200" or (version == "2.8" and "200" in error.text)


def test_the_senders_own_delimiters_are_used() -> None:
    body = b"MSH$!~?/$Maker/1$Model$$$2026$$ORU!R01$17$P$2.5"

    read = parse(answer(body, Answer.REFUSED, UNSUPPORTED_TYPE))

    assert read.encoding.delimiters.component == "!"
    assert (read.header.get(9), read.header.get(9, 2)) == ("ACK", "R01")
    assert (read.segments[1].get(1), read.segments[1].get(2)) == ("AR", "17")
    assert read.segments[2].get(3) == "200"


@pytest.mark.parametrize("control_id", ["A^B", "a&b~c", r"x\S\y", "é9", "2" * 300])
def test_the_control_id_goes_back_as_it_came(control_id: str) -> None:
    read = parse(answer(f"MSH|^~\\&|A|B|||2026||ORU^R01|{control_id}|P|2.3.1".encode()))

    assert read.segments[1].raw(2) == control_id
    assert read.header.raw(10) == control_id


def test_a_message_without_msh_is_refused_without_an_id() -> None:
    assert header(b"PID|1") is None

    read = parse(acknowledgement(Header(), Answer.REFUSED, REQUIRED_FIELD_MISSING, AT))

    assert [segment.name for segment in read.segments] == ["MSH", "MSA", "ERR"]
    assert (read.segments[1].get(1), read.segments[1].get(2)) == ("AR", None)


@settings(deadline=None, max_examples=50)
@given(NAMES, NAMES, st.sampled_from(VERSIONS), st.sampled_from(CASES), st.text("AZ^&\\09", max_size=6))
def test_whatever_a_sender_calls_itself_it_is_answered(
    application: str, facility: str, version: str, case: tuple[Answer, Condition], event: str
) -> None:
    body = f"MSH|^~\\&|{application}|{facility}|||2026||ORU^{event}|42|P|{version}".encode()

    read = parse(answer(body, *case))

    assert (read.segments[1].get(1), read.segments[1].get(2)) == (case[0].value, "42")


def test_the_sender_of_a_transmission_is_read_without_its_patient() -> None:
    sent = header(oru("9", "PID|1||7||Doe^Jane"))

    assert sent is not None
    assert (sent.sender, sent.type, sent.event, sent.control_id) == (("Mindray", "BS-480"), "ORU", "R01", "9")
    assert "Doe" not in repr(sent)
