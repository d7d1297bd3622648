"""Messages are recorded once, whole, and without losing anything: what cannot be recorded is parked and visible."""

from __future__ import annotations

import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from ingest.contract import BatchReceipt, Message, MessageKind, Outcome
from lims_api.core.clock import utc_now
from lims_api.core.permissions import Permission
from lims_api.results.models import RecordGroup
from lims_api.specimens import service as specimens
from lims_api.specimens.models import RejectionReason
from tests.factories import organization, staff
from tests.integration.laboratory import Drawn, Laboratory, batch, control_message, group, message


def one(lab: Laboratory, drawn: Drawn, values: dict[str, str] | None = None, **changed: Any) -> Message:
    """The whole specimen in one message."""
    return message(drawn.accession, lab.observations(drawn, values), drawn.person.stated(), **changed)


def outcome(receipt: BatchReceipt) -> list[tuple[str, int, int]]:
    return [(each.outcome, each.recorded, each.parked) for each in receipt.receipts]


def kept(lab: Laboratory, sent: Message) -> list[tuple[Any, ...]]:
    """The message's own row: id, outcome, recorded, parked."""
    return lab.rows(
        "select id, outcome, recorded, parked from lims.instrument_messages"
        " where organization_id = %s and channel = %s and control_id = %s and body_sha256 = %s",
        lab.organization_id, sent.channel, sent.control_id, sent.body_sha256,
    )  # fmt: skip


# once


def test_the_same_batch_again_gets_the_same_reply(lab: Laboratory) -> None:
    drawn = lab.draw("GLU", "CREA", "K")
    wanted = batch(one(lab, drawn))

    first, second = lab.send(wanted), lab.send(wanted)

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert second.headers["idempotent-replay"] == "true"
    assert all(len(lines) == 1 for lines in lab.lines(drawn.order_id).values())


def test_a_batch_id_stands_for_its_content(lab: Laboratory) -> None:
    drawn, other = lab.draw(), lab.draw()
    batch_id = uuid4()
    lab.deliver(one(lab, drawn), id=batch_id)

    answer = lab.send(batch(one(lab, other), id=batch_id))

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (409, "idempotency-key-reused")
    assert lab.lines(other.order_id) == {}


def test_a_message_in_another_batch_is_a_repeat_and_changes_nothing(lab: Laboratory) -> None:
    drawn = lab.draw("GLU", "CREA", "K")
    sent = one(lab, drawn)
    first = lab.deliver(sent)
    before = lab.lines(drawn.order_id), _counts(lab)

    again = lab.deliver(sent)

    assert outcome(first) == [(Outcome.RECORDED, 3, 0)]
    assert outcome(again) == [(Outcome.REPEAT, 0, 0)]
    assert (lab.lines(drawn.order_id), _counts(lab)) == before


def _counts(lab: Laboratory) -> list[int]:
    tables = ("instrument_messages", "record_groups", "results", "parked_observations", "outbox")
    return [
        lab.rows(f"select count(*) from lims.{table} where organization_id = %s", lab.organization_id)[0][0]
        for table in tables
    ]


def test_a_message_twice_in_one_batch_is_recorded_once(lab: Laboratory) -> None:
    drawn = lab.draw()
    sent = one(lab, drawn)

    receipt = lab.deliver(sent, sent)

    assert outcome(receipt) == [(Outcome.RECORDED, 1, 0), (Outcome.REPEAT, 0, 0)]
    assert len(lab.lines(drawn.order_id)["GLU"]) == 1


def test_a_control_id_that_starts_again_is_another_message(lab: Laboratory) -> None:
    first, second = lab.draw(), lab.draw()

    receipts = [lab.deliver(one(lab, drawn, control_id="1")) for drawn in (first, second)]

    assert [outcome(receipt) for receipt in receipts] == [[(Outcome.RECORDED, 1, 0)]] * 2
    assert lab.lines(first.order_id)["GLU"][0]["status"] == lab.lines(second.order_id)["GLU"][0]["status"]


def test_the_same_observation_in_another_message_is_not_another_result(lab: Laboratory) -> None:
    drawn = lab.draw("GLU", "CREA", "K")
    observed = lab.observations(drawn)
    lab.deliver(message(drawn.accession, observed, drawn.person.stated()))
    before = lab.lines(drawn.order_id)

    receipt = lab.deliver(message(drawn.accession, observed, drawn.person.stated()))

    assert outcome(receipt) == [(Outcome.RECORDED, 3, 0)]
    assert lab.lines(drawn.order_id) == before


def test_the_same_observation_twice_in_one_message_is_one_result(lab: Laboratory) -> None:
    drawn = lab.draw()
    observed = lab.observation()

    lab.deliver(message(drawn.accession, [observed, observed], drawn.person.stated()))

    assert [line["reasons"] for line in lab.lines(drawn.order_id)["GLU"]] == [[]]


@pytest.mark.parametrize("again", [{"value_text": "85.0"}, {"run": "2"}, {"observed_at": utc_now()}])
def test_anything_else_is_another_measurement(lab: Laboratory, again: dict[str, Any]) -> None:
    drawn = lab.draw()
    observed = lab.observation()

    lab.deliver(message(drawn.accession, [observed, observed.model_copy(update=again)], drawn.person.stated()))

    assert [line["version"] for line in lab.lines(drawn.order_id)["GLU"]] == [1, 2]


def test_one_message_delivered_by_many_at_once_is_recorded_once(lab: Laboratory) -> None:
    drawn = lab.draw("GLU", "CREA", "K")
    sent = one(lab, drawn)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: lab.send(batch(sent)), range(6)))

    good = [BatchReceipt.model_validate_json(each.content) for each in answers if each.status_code == 200]
    refused = [each.json()["type"].rsplit("/", 1)[-1] for each in answers if each.status_code != 200]
    assert set(refused) <= {"concurrent-delivery"}
    assert sum(receipt.receipts[0].outcome is Outcome.RECORDED for receipt in good) == 1
    assert [len(lines) for lines in lab.lines(drawn.order_id).values()] == [1, 1, 1]
    assert len(kept(lab, sent)) == 1
    assert outcome(lab.deliver(sent)) == [(Outcome.REPEAT, 0, 0)]


def test_one_controls_message_delivered_by_many_at_once_is_recorded_once(lab: Laboratory) -> None:
    analyser = lab.another_analyser("GLU")
    sent = control_message([lab.observation("GLU", "100")], channel=analyser.channel)

    with ThreadPoolExecutor(4) as pool:
        statuses = {answer.status_code for answer in pool.map(lambda _: lab.send(batch(sent)), range(4))}

    assert statuses <= {200, 409}
    counted = lab.rows("select count(*) from lims.control_results where analyser_id = %s", analyser.id)
    assert (counted, len(kept(lab, sent))) == ([(1,)], 1)


def test_two_messages_of_one_specimen_at_once_are_two_measurements(lab: Laboratory) -> None:
    drawn = lab.draw()
    two = [message(drawn.accession, [lab.observation("GLU", value)], drawn.person.stated()) for value in ("85", "86")]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda sent: lab.send(batch(sent)), two))

    assert [answer.status_code for answer in answers] == [200, 200]
    lines = lab.lines(drawn.order_id)["GLU"]
    assert [line["version"] for line in lines] == [1, 2]
    assert [line["reasons"] for line in lines] == [[], ["repeat_measurement"]]


# whole


def test_nineteen_are_recorded_and_the_one_unknown_is_parked(lab: Laboratory) -> None:
    drawn = lab.draw("GLU", "CREA", "K")
    runs = [
        lab.observation(code, sequence=place, run=str(place))
        for place, code in enumerate(("GLU", "CREA", "K") * 6 + ("GLU",), start=1)
    ]
    unknown = lab.observation("XYZ", "1", sequence=20)

    receipt = lab.deliver(message(drawn.accession, [*runs, unknown], drawn.person.stated()))

    assert outcome(receipt) == [(Outcome.RECORDED, 19, 1)]
    assert sum(len(lines) for lines in lab.lines(drawn.order_id).values()) == 19
    parked = lab.parked()[-1]
    assert (parked["code"], parked["reason"]) == ("XYZ", "unknown_code")
    transactions = lab.rows(
        "select distinct xid::text from lims.ledger where organization_id = %s and table_name in"
        " ('results', 'parked_observations', 'instrument_messages', 'record_groups')"
        " and (body::jsonb->'after'->>'message_id' = %s or row_id = %s)",
        lab.organization_id, parked["message_id"], parked["message_id"],
    )  # fmt: skip
    assert len(transactions) == 1


def _unknown_specimen(lab: Laboratory, drawn: Drawn) -> Message:
    return message("9900000000", lab.observations(drawn), drawn.person.stated())


def _no_specimen(lab: Laboratory, drawn: Drawn) -> Message:
    return message(None, lab.observations(drawn), drawn.person.stated())


def _rejected(lab: Laboratory, drawn: Drawn) -> Message:
    with lab.session("technician") as session:
        specimens.reject(session, drawn.accession, reason=RejectionReason.CLOTTED, rejected_at=utc_now())
    return one(lab, drawn)


def _unknown_channel(lab: Laboratory, drawn: Drawn) -> Message:
    return one(lab, drawn, channel="bench-99")


def _not_ordered(lab: Laboratory, drawn: Drawn) -> Message:
    return message(drawn.accession, [lab.observation("K")], drawn.person.stated())


def _unknown_code(lab: Laboratory, drawn: Drawn) -> Message:
    return message(drawn.accession, [lab.observation("glu", "85")], drawn.person.stated())


def _calibration(lab: Laboratory, drawn: Drawn) -> Message:
    return one(lab, drawn, kind=MessageKind.CALIBRATION)


UNRECORDABLE = {
    "unknown_specimen": (_unknown_specimen, _no_specimen),
    "specimen_not_received": (_rejected,),
    "unknown_channel": (_unknown_channel,),
    "not_ordered": (_not_ordered,),
    "unknown_code": (_unknown_code,),
    "calibration": (_calibration,),
}


@pytest.mark.parametrize(
    ("reason", "make"), [(reason, make) for reason, makers in UNRECORDABLE.items() for make in makers]
)
def test_what_cannot_be_recorded_is_parked_and_seen(lab: Laboratory, reason: str, make: Any) -> None:
    drawn = lab.draw()
    sent = make(lab, drawn)

    receipt = lab.deliver(sent)

    assert outcome(receipt) == [(Outcome.PARKED, 0, 1)]
    assert lab.lines(drawn.order_id) == {}
    ((message_id, state, recorded, parked),) = kept(lab, sent)
    assert (state, recorded, parked) == ("parked", 0, 1)
    seen = lab.parked()[-1]
    assert (seen["reason"], seen["message_id"]) == (reason, str(message_id))
    told = lab.rows(
        "select payload from lims.outbox where name = 'observations.parked' and subject_id = %s", message_id
    )
    assert [json.loads(row[0]) for row in told] == [{"parked": 1}]
    assert outcome(lab.deliver(sent)) == [(Outcome.REPEAT, 0, 0)]


def test_a_specimen_that_was_drawn_and_not_received_is_not_measured(lab: Laboratory) -> None:
    drawn = lab.draw(receive=False)

    receipt = lab.deliver(one(lab, drawn))

    assert outcome(receipt) == [(Outcome.PARKED, 0, 1)]
    assert lab.parked()[-1]["reason"] == "specimen_not_received"


@pytest.mark.parametrize(
    "changed",
    [
        {"error": "the segment OBX has no field 3", "groups": ()},
        {"groups": ()},
        {"groups": (group("2600000001", []),)},
    ],
    ids=["an error", "no group", "an empty group"],
)
def test_a_message_with_nothing_to_record_is_parked_too(lab: Laboratory, changed: dict[str, Any]) -> None:
    sent = message(None, [], **changed)

    assert outcome(lab.deliver(sent)) == [(Outcome.PARKED, 0, 1)]

    ((message_id, *_),) = kept(lab, sent)
    seen = lab.parked()[-1]
    assert (seen["reason"], seen["code"], seen["message_id"]) == ("unreadable", None, str(message_id))


def test_an_analyser_that_was_taken_out_of_service_is_unknown(lab: Laboratory) -> None:
    analyser = lab.another_analyser("GLU")
    lab.control(analyser=analyser)
    with lab.session() as session:
        session.merge(analyser).is_active = False

    receipt = lab.deliver(one(lab, lab.draw(), channel=analyser.channel))

    assert outcome(receipt) == [(Outcome.PARKED, 0, 1)]
    assert lab.parked()[-1]["reason"] == "unknown_channel"


@pytest.mark.req("12.6")
def test_what_came_in_is_kept_sealed_and_opens_again(lab: Laboratory) -> None:
    """The bytes of a known patient's group under their key, an unknown one's under the organization's."""
    drawn = lab.draw()
    known, unknown = one(lab, drawn), _unknown_specimen(lab, drawn)
    lab.deliver(known, unknown)

    for sent, patient_id in ((known, drawn.person.id), (unknown, None)):
        ((message_id, *_),) = kept(lab, sent)
        ((group_id, whose, raw, envelope),) = lab.rows(
            "select g.id, g.patient_id, g.raw_sealed, m.envelope_sealed from lims.record_groups g join lims.instrument_messages m"  # noqa: E501
            " on m.organization_id = g.organization_id and m.id = g.message_id where m.id = %s",
            message_id,
        )
        assert whose == patient_id
        assert drawn.person.name.encode() not in bytes(raw)
        assert b"MSH" not in bytes(envelope)
        assert _opened(lab, bytes(raw), "record_groups.raw_sealed", group_id, patient_id) == bytes(sent.groups[0].raw)
        assert _opened(lab, bytes(envelope), "instrument_messages.envelope_sealed", message_id, None) == bytes(
            sent.envelope
        )


def _opened(lab: Laboratory, sealed: bytes, column: str, row_id: UUID, patient_id: UUID | None) -> bytes:
    keys, tenant = lab.environment.keys, lab.organization_id
    key = keys.patient_key(tenant, patient_id) if patient_id else keys.organization_key(tenant)
    return keys.unseal(sealed, key, tenant, column, row_id).encode("latin-1")


def test_any_bytes_come_back_as_they_came(lab: Laboratory) -> None:
    raw = bytes(range(256))
    sent = message(None, [], groups=(group(None, [lab.observation()], raw=b64encode(raw)),))
    lab.deliver(sent)

    ((message_id, *_),) = kept(lab, sent)
    with lab.session() as session:
        row = session.query(RecordGroup).filter_by(message_id=message_id).one()
        assert _opened(lab, row.raw_sealed, "record_groups.raw_sealed", row.id, None) == raw


# without losing the others

BAD: dict[str, dict[str, Any]] = {
    "a huge number": {"value_text": "1E+99", "value": Decimal("1E+99")},
    "a tiny number": {"value_text": "1E-99", "value": Decimal("1E-99")},
    "zero": {"value_text": "0", "value": Decimal(0)},
    "a negative number": {"value_text": "-5", "value": Decimal(-5)},
    "no number": {"value_text": "", "value": None},
    "a NUL in the value": {"value_text": "8\x005", "value": None},
    "a NUL in the code": {"code": "GL\x00U"},
    "a NUL in the unit": {"unit": "mg\x00/dL"},
    "a NUL in a flag": {"flags": ("\x00",)},
    "a NUL in the status": {"status": "F\x00"},
    "quotes and backslashes": {"value_text": "'\"\\\\u0000;--", "value": None, "run": "\\x00"},
    "another script": {"value_text": "८५ पॉज़िटिव", "value": None, "flags": ("±",)},
    "a very long text": {"value_text": "x" * 100_000, "value": None},
}


@pytest.mark.parametrize("bad", BAD)
def test_one_strange_observation_does_not_hold_up_the_others(lab: Laboratory, bad: str) -> None:
    strange, plain = lab.draw(), lab.draw()
    odd = lab.observation(**BAD[bad])

    receipt = lab.deliver(message(strange.accession, [odd], strange.person.stated()), one(lab, plain))

    first, second = receipt.receipts
    assert (first.recorded + first.parked, second.outcome) == (1, Outcome.RECORDED)
    assert lab.lines(plain.order_id)["GLU"][0]["reasons"] == []
    assert all(line["reasons"] for line in lab.lines(strange.order_id).get("GLU", []))


@pytest.mark.parametrize("odd", [{"text": "Glu\x00cose"}, {"run": "\x00"}, {"observed_at": None}])
def test_what_says_nothing_of_the_value_does_not_hold_it(lab: Laboratory, odd: dict[str, Any]) -> None:
    assert lab.measure(**odd).reasons() == []


@pytest.mark.parametrize("field", ["control_id", "type", "format"])
def test_a_strange_envelope_does_not_hold_up_the_others(lab: Laboratory, field: str) -> None:
    strange, plain = lab.draw(), lab.draw()
    sent = one(lab, strange).model_copy(update={field: f"a\x00{uuid4()}"})

    receipt = lab.deliver(sent, one(lab, plain))
    again = lab.deliver(sent)

    assert [each.outcome for each in receipt.receipts] == [Outcome.RECORDED, Outcome.RECORDED]
    assert receipt.receipts[0].control_id == sent.control_id
    assert outcome(again) == [(Outcome.REPEAT, 0, 0)]


@pytest.mark.parametrize(
    "stated", [{"name": "A\x00nil"}, {"patient_number": "\x00"}, {"name": "\U0010ffff" * 5_000}, {"name": "'; --"}]
)
def test_a_strange_identity_is_held_and_does_not_hold_up_the_others(lab: Laboratory, stated: dict[str, Any]) -> None:
    plain = lab.draw()
    strange = lab.draw()
    identity = strange.person.stated(**stated)

    lab.deliver(message(strange.accession, lab.observations(strange), identity), one(lab, plain))

    assert lab.lines(strange.order_id)["GLU"][0]["reasons"] == ["identity_mismatch"]
    assert lab.lines(plain.order_id)["GLU"][0]["reasons"] == []


@pytest.mark.parametrize("accession", ["\x00", "", " ", "26' or '1'='1", "x" * 10_000])
def test_a_strange_specimen_number_is_an_unknown_one(lab: Laboratory, accession: str) -> None:
    plain = lab.draw()

    receipt = lab.deliver(message(accession, [lab.observation()]), one(lab, plain))

    assert outcome(receipt) == [(Outcome.PARKED, 0, 1), (Outcome.RECORDED, 1, 0)]


def test_fifty_messages_are_one_batch_and_fifty_one_are_refused(lab: Laboratory) -> None:
    drawn = lab.draw()
    many = [message("9900000000", [lab.observation()]) for _ in range(49)]

    receipt = lab.deliver(*many, one(lab, drawn))
    wanted = json.loads(batch(*many, one(lab, drawn)).model_dump_json())
    wanted["messages"].append(wanted["messages"][0])
    refused = lab.call("POST", "/v1/ingest/messages", wanted, by="gateway")

    assert outcome(receipt)[-1] == (Outcome.RECORDED, 1, 0)
    assert sum(each.parked for each in receipt.receipts) == 49
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (422, "invalid-request")


def test_the_parked_are_listed_page_by_page(lab: Laboratory) -> None:
    observed = [lab.observation("XYZ", "1", sequence=place) for place in range(1, 131)]
    lab.deliver(message(lab.draw().accession, observed))

    first = lab.get("/v1/parked")
    items = lab.parked()

    assert len(first["items"]) == 100
    assert first["next"] == first["items"][-1]["id"]
    assert [item["id"] for item in items] == sorted({item["id"] for item in items})
    assert len(items) >= 130


def test_who_may_deliver_and_who_may_look(lab: Laboratory) -> None:
    wanted = json.loads(batch(one(lab, lab.draw())).model_dump_json())

    delivering = lab.call("POST", "/v1/ingest/messages", wanted, by="pathologist")
    looking = lab.call("GET", "/v1/parked", by="reception")

    assert (delivering.status_code, delivering.json()["permission"]) == (403, Permission.MESSAGE_DELIVER)
    assert (looking.status_code, looking.json()["permission"]) == (403, Permission.MESSAGE_READ)


def test_another_laboratorys_gateway_reaches_no_specimen_of_ours(lab: Laboratory) -> None:
    drawn = lab.draw()
    tenant = organization(lab.environment)
    gateway = staff(lab.environment, tenant, [Permission.MESSAGE_DELIVER, Permission.MESSAGE_READ])
    wanted = json.loads(batch(one(lab, drawn)).model_dump_json())

    answer = lab.call("POST", "/v1/ingest/messages", wanted, by=gateway)

    assert answer.json()["receipts"][0]["outcome"] == "parked"
    assert lab.lines(drawn.order_id) == {}
    assert [item["reason"] for item in lab.get("/v1/parked", by=gateway)["items"]] == ["unknown_channel"]


def test_what_is_stored_is_what_was_sent(lab: Laboratory) -> None:
    drawn = lab.draw()
    sent = lab.observation("GLU", "085.50", flags=("N",))

    lab.deliver(message(drawn.accession, [sent], drawn.person.stated()))

    (line,) = lab.lines(drawn.order_id)["GLU"]
    assert (line["value_text"], line["value"], line["comparator"]) == (sent.value_text, "85.50", None)


@pytest.mark.req("1.7.2")
def test_what_was_heard_is_listed_with_what_became_of_it(lab: Laboratory) -> None:
    drawn = lab.draw("GLU", "CREA")
    unknown = lab.observations(drawn)[1].model_copy(update={"code": "XXX"})
    sent = message(drawn.accession, [lab.observations(drawn)[0], unknown], drawn.person.stated())
    lab.deliver(sent)

    listed, after = [], ""
    while after is not None:
        page = lab.get(f"/v1/ingest/messages?after={after}" if after else "/v1/ingest/messages", by="technician")
        listed += page["items"]
        after = page["next"]

    (found,) = [each for each in listed if each["body_sha256"] == sent.body_sha256]
    assert (found["recorded"], found["parked"], found["outcome"]) == (1, 1, "recorded")
    assert found["control_id"] == sent.control_id
    assert found.keys() == {
        "id", "channel", "control_id", "body_sha256", "type", "received_at", "outcome", "recorded", "parked",
    }  # fmt: skip
