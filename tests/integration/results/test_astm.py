"""ASTM transmissions in the core: many patients in one, a control among them, and one that broke off."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingest.astm.decode import INCOMPLETE
from ingest.contract import Message
from ingest.decode import decode
from ingest.instruments.shipped import load
from ingest.received import Received
from lims_api.core.clock import utc_now
from tests.integration.laboratory import LOT, MATERIAL, Drawn, Laboratory
from tests.unit.ingest.transmissions import received


def records(drawn: Drawn, value: str) -> str:
    stated = drawn.person.stated()
    at = (utc_now() - timedelta(minutes=1)).strftime("%Y%m%d%H%M%S+0000")
    return (
        f"P|1|{stated.patient_number}|||{stated.name}\rO|1|{drawn.accession}||^^^GLU|R||||||N\r"
        f"R|1|^^^GLU|{value}|mg/dL||N||F||||{at}\r"
    )


def transmission(*parts: str, ends: str = "L|1|N\r") -> bytes:
    return ("H|\\^&|||Immuno^Example\r" + "".join(parts) + ends).encode()


def decoded(body: bytes) -> Message:
    one = received(body, "bench-1")
    named = Received(one.channel, one.body_sha256, one.body_sha256, utc_now(), body)
    return decode(named, load("generic_astm"))


@pytest.mark.req("1.7.2")
def test_two_patients_and_a_control_in_one_transmission_are_each_recorded_as_what_they_are(lab: Laboratory) -> None:
    first, second = lab.draw("GLU"), lab.draw("GLU")
    control = f"P|3\rO|1|QC-{MATERIAL}-{LOT.replace('-', '')}-1||^^^GLU|R||||||Q\rR|1|^^^GLU|101|mg/dL||N||F\r"

    receipt = lab.deliver(decoded(transmission(records(first, "95"), records(second, "96"), control)))

    (answer,) = receipt.receipts
    assert [lab.lines(drawn.order_id)["GLU"][0]["value_text"] for drawn in (first, second)] == ["95", "96"]
    assert (answer.recorded, answer.parked) == (2, 1)
    groups = lab.rows(
        "select position, patient_id from lims.record_groups where message_id = "
        "(select id from lims.instrument_messages where body_sha256 = %s) order by position",
        answer.body_sha256,
    )
    assert groups == [(0, first.person.id), (1, second.person.id), (2, None)]
    assert [item["reason"] for item in lab.parked()][-1] == "no_control_target"


@pytest.mark.req("1.7.2")
def test_a_control_of_a_known_lot_is_a_control_result_and_no_patients(lab: Laboratory) -> None:
    before = lab.rows("select count(*) from lims.control_results")
    drawn = lab.draw("GLU")
    body = transmission(records(drawn, "97"), "P|2\rO|1|QC-A-1-1||^^^GLU|R||||||Q\rR|1|^^^GLU|100|mg/dL||N||F\r")
    message = decoded(body)
    known = message.groups[1].model_copy(update={"control": message.groups[1].control.model_copy(update={  # type: ignore[union-attr]
        "material": MATERIAL, "lot": LOT})})  # fmt: skip

    receipt = lab.deliver(message.model_copy(update={"groups": (message.groups[0], known)}))

    assert (receipt.receipts[0].recorded, receipt.receipts[0].parked) == (2, 0)
    assert lab.rows("select count(*) from lims.control_results") == [(before[0][0] + 1,)]


@pytest.mark.req("1.7.5")
def test_a_transmission_that_broke_off_is_parked_and_the_whole_is_recorded_once(lab: Laboratory) -> None:
    drawn = lab.draw("GLU")
    body = transmission(records(drawn, "98"))
    cut, whole = decoded(body[:-6]), decoded(body)
    assert cut.error == INCOMPLETE

    receipts = [lab.deliver(one).receipts[0] for one in (cut, whole, whole)]

    assert [(str(one.outcome), one.recorded) for one in receipts] == [("parked", 0), ("recorded", 1), ("repeat", 0)]
    assert [line["value_text"] for line in lab.lines(drawn.order_id)["GLU"]] == ["98"]
    assert [item["reason"] for item in lab.parked()][-1] == "unreadable"
