"""From the analyser's socket to the core's database, with a real gateway between."""

import json
import socket
import time
from datetime import timedelta
from hashlib import sha256
from operator import itemgetter
from typing import Any

import pytest

from ingest.cli import app
from ingest.contract import MessageKind
from ingest.hl7.codec import parse
from ingest.hl7.mllp import framed
from ingest.spool import State, open_spool
from tests.integration.ingest.gateways import CHANNEL, Analyser, Laboratory, counts, eventually
from tests.sandbox.core_receiver import CoreReceiver, Fault
from tests.unit.ingest.transmissions import DATA, oru


def result(control_id: str, value: str = "5.1", specimen: str = "26-000123") -> bytes:
    return oru(
        control_id,
        "PID|1||HN-1||Deshmukh^Asha||19840612|F",
        f"OBR|1|{specimen}|7",
        f"OBX|1|NM|GLU||{value}|mg/dL|||||F",
    )


def key(body: bytes, control_id: str) -> tuple[str, str, str]:
    return CHANNEL, control_id, sha256(body).hexdigest()


def told(laboratory: Laboratory, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `lims ingest spool` says."""
    capsys.readouterr()
    assert app(["spool", str(laboratory.spool), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_what_an_analyser_sends_reaches_the_core_decoded_and_in_order(
    laboratory: Laboratory, core: CoreReceiver
) -> None:
    patient, control = (DATA / "mindray_bs.hl7").read_bytes(), (DATA / "mindray_bs_control.hl7").read_bytes()
    with laboratory.gateway():
        analyser = Analyser(laboratory.port)

        assert analyser.send(patient) == ["AA"]
        assert analyser.send(control, result("9")) == ["AA", "AA"]

        assert eventually(lambda: counts(laboratory)[State.DELIVERED] == 3)
    first, second, third = core.messages()
    assert (first.kind, second.kind, third.kind) == (MessageKind.PATIENT, MessageKind.CONTROL, MessageKind.PATIENT)
    assert first.groups[0].specimen == "26-000417"
    assert first.envelope + first.groups[0].raw == patient
    assert second.groups[0].control is not None


@pytest.mark.req("1.7.1")
def test_what_can_never_be_taken_is_refused_with_the_reason_and_kept(
    laboratory: Laboratory, core: CoreReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    query = result("5").replace(b"ORU^R01", b"QRY^Q02")
    with laboratory.gateway(message_bytes=5_000):
        analyser = Analyser(laboratory.port)

        answers = [
            analyser.send(body) for body in (query, b"junk", result(""), result("6") + b"x" * 6_000, result("7"))
        ]

        assert answers == [["AR"], ["AR"], ["AR"], ["AR"], ["AA"]]
        analyser.socket.sendall(framed(query))
        assert [segment.name for segment in analyser.answer().segments] == ["MSH", "MSA", "ERR"]
        assert eventually(lambda: len(core.keys()) == 1)
    assert {one["problem"] for one in told(laboratory, capsys)["refused"]} == {
        f"gateway:{word}" for word in ("unsupported-type", "no-msh", "no-control-id", "too-large")
    }


def test_a_durable_message_that_cannot_be_decoded_is_taken_and_delivered_with_the_reason(
    laboratory: Laboratory, core: CoreReceiver
) -> None:
    body = oru("1", "OBR|1|S1", kind="7")
    with laboratory.gateway():
        assert Analyser(laboratory.port).send(body) == ["AA"]
        assert eventually(lambda: len(core.keys()) == 1)

    (message,) = core.messages()
    assert message.error
    assert message.envelope == body


@pytest.mark.req("1.7.5")
def test_a_repeat_is_acknowledged_and_a_rebooted_analysers_new_results_are_delivered(
    laboratory: Laboratory, core: CoreReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = result("1", "5.1"), result("1", "9.9", specimen="26-000999")
    with laboratory.gateway():
        assert Analyser(laboratory.port).send(before, before) == ["AA", "AA"]
        assert Analyser(laboratory.port).send(after) == ["AA"]
        assert Analyser(laboratory.port).send(before, after) == ["AA", "AA"]
        assert eventually(lambda: len(core.keys()) == 2)

    assert set(core.keys()) == {key(before, "1"), key(after, "1")}
    assert told(laboratory, capsys)["alarms"] == {f"control-id-reused {CHANNEL}": 1}


def test_every_fault_of_the_core_and_the_network_ends_in_one_recording(
    laboratory: Laboratory, core: CoreReceiver
) -> None:
    plan = [fault for fault in Fault for _ in range(2)]
    core.fault = lambda: plan.pop(0) if plan else None
    core.silence = 0.6
    bodies = [result(str(number)) for number in range(1, 8)]
    with laboratory.gateway(timeout_s=0.4):
        analyser = Analyser(laboratory.port)
        for body in bodies:
            assert analyser.send(body) == ["AA"]
        assert eventually(lambda: counts(laboratory)[State.DELIVERED] == len(bodies), 15)

    assert not plan
    assert core.keys() == [key(body, str(number)) for number, body in enumerate(bodies, start=1)]
    sent: dict[str, set[str]] = {}
    for batch in core.seen:
        sent.setdefault(str(batch.id), set()).add(batch.model_dump_json())
    assert all(len(contents) == 1 for contents in sent.values())
    assert len(core.seen) > len(sent)


def test_after_a_restart_the_same_batch_goes_out_under_the_same_id(laboratory: Laboratory, core: CoreReceiver) -> None:
    core.fault = lambda: Fault.CUT_AFTER
    with laboratory.gateway():
        assert Analyser(laboratory.port).send(result("1"), result("2")) == ["AA", "AA"]
        assert eventually(lambda: len(core.seen) >= 2)
    with laboratory.gateway():
        assert eventually(lambda: len(core.seen) >= 4)
        core.fault = lambda: None
        assert eventually(lambda: counts(laboratory)[State.DELIVERED] == 2)

    assert len({batch.model_dump_json() for batch in core.seen}) == 1
    assert len(core.keys()) == 2


def test_what_the_core_was_away_for_is_delivered_when_it_is_back(laboratory: Laboratory, core: CoreReceiver) -> None:
    away = CoreReceiver(laboratory.folder / "away.db")
    with away.running():
        port = away.port
    away_laboratory = Laboratory(laboratory.folder, away, laboratory.port)
    with away_laboratory.gateway():
        analyser = Analyser(laboratory.port)
        for number in range(120):
            assert analyser.send(result(str(number))) == ["AA"]
        with away.running(port):
            assert eventually(lambda: len(away.keys()) == 120)
            assert eventually(lambda: counts(laboratory)[State.KEPT] == 0)

    assert list(map(itemgetter(1), away.keys())) == [str(number) for number in range(120)]
    assert max(len(batch.messages) for batch in away.seen) == 50


def test_one_message_that_the_core_refuses_is_set_aside_and_the_others_arrive(
    laboratory: Laboratory, core: CoreReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    core.refuses = lambda message: message.control_id == "3"
    with laboratory.gateway():
        assert Analyser(laboratory.port).send(*(result(str(number)) for number in range(1, 6))) == ["AA"] * 5
        assert eventually(lambda: counts(laboratory)[State.REFUSED] == 1)
        assert eventually(lambda: len(core.keys()) == 4)
    (refused,) = told(laboratory, capsys)["refused"]
    assert refused["problem"].endswith("/errors/unprocessable")
    assert refused["control_id"] == "3"

    core.refuses = lambda _: False
    assert app(["spool", str(laboratory.spool), "--release"]) == 0
    with laboratory.gateway():
        assert eventually(lambda: len(core.keys()) == 5)


def test_a_lasting_conflict_does_not_hold_up_the_spool_for_ever(laboratory: Laboratory, core: CoreReceiver) -> None:
    core.conflicts = lambda: True
    with laboratory.gateway():
        assert Analyser(laboratory.port).send(result("1")) == ["AA"]
        assert eventually(lambda: counts(laboratory)[State.REFUSED] == 1)

    assert core.statuses[409] == 10


def test_a_spent_batch_id_is_renewed(laboratory: Laboratory, core: CoreReceiver) -> None:
    core.fault = lambda: Fault.CUT_AFTER
    with laboratory.gateway():
        Analyser(laboratory.port).send(result("1"))
        assert eventually(lambda: len(core.seen) >= 1)
    spool = open_spool(laboratory.spool)
    spool.restamp(core.seen[0].id, core.seen[0].sent_at + timedelta(seconds=1), None)
    spool.close()
    core.fault = lambda: None

    with laboratory.gateway():
        assert eventually(lambda: counts(laboratory)[State.DELIVERED] == 1)

    assert core.statuses[409] == 1
    assert len(core.keys()) == 1


def test_a_wrong_api_key_loses_nothing_and_a_right_one_needs_no_restart(
    laboratory: Laboratory, core: CoreReceiver
) -> None:
    laboratory.key_file.write_text("wrong")
    with laboratory.gateway():
        assert Analyser(laboratory.port).send(result("1")) == ["AA"]
        assert eventually(lambda: core.statuses[401] >= 2)
        assert counts(laboratory)[State.KEPT] == 1

        laboratory.key_file.write_text(core.api_key)

        assert eventually(lambda: len(core.keys()) == 1)


def test_the_offset_to_the_cores_clock_goes_with_the_next_batch(laboratory: Laboratory, core: CoreReceiver) -> None:
    core.clock_ahead = timedelta(seconds=90)
    with laboratory.gateway():
        analyser = Analyser(laboratory.port)
        analyser.send(result("1"))
        assert eventually(lambda: counts(laboratory)[State.DELIVERED] == 1)
        analyser.send(result("2"))
        assert eventually(lambda: len(core.seen) == 2)

    assert core.seen[0].clock_offset_ms is None
    offset = core.seen[1].clock_offset_ms
    assert offset is not None
    assert abs(offset + 90_000) < 2_000


def test_a_slow_sender_delays_nobody(laboratory: Laboratory) -> None:
    with laboratory.gateway():
        slow = [Analyser(laboratory.port) for _ in range(20)]
        for analyser in slow:
            analyser.socket.sendall(framed(result("1"))[:-20])
        quick = Analyser(laboratory.port)

        took = []
        for number in range(20):
            start = time.monotonic()
            assert quick.send(result(f"q{number}")) == ["AA"]
            took.append(time.monotonic() - start)

        assert sorted(took)[10] < 0.25
        for analyser in slow:
            analyser.socket.sendall(framed(result("1"))[-20:])
            assert analyser.answer().segments[1].get(1) == "AA"


def test_what_the_disk_does_not_take_is_answered_ae_and_what_was_acknowledged_arrives(
    laboratory: Laboratory, core: CoreReceiver
) -> None:
    core.fault = lambda: Fault.ERROR_500
    taken = []
    with laboratory.gateway(spool_megabytes=1):
        analyser = Analyser(laboratory.port)
        for number in range(12):
            body = result(str(number)) + b"NTE|1||" + b"x" * 200_000 + b"\r"
            (answer,) = analyser.send(body)
            assert answer in {"AA", "AE"}
            if answer == "AA":
                taken.append(key(body, str(number)))
        assert 0 < len(taken) < 12
        analyser.socket.sendall(framed(result("99") + b"NTE|1||" + b"x" * 200_000))
        refusal = analyser.answer()
        core.fault = lambda: None
        assert eventually(lambda: len(core.keys()) >= len(taken))

    assert (refusal.segments[1].get(1), refusal.segments[2].name) == ("AE", "ERR")
    assert core.keys() == taken


def test_a_connection_that_ends_within_a_frame_leaves_nothing(laboratory: Laboratory, core: CoreReceiver) -> None:
    with laboratory.gateway():
        analyser = Analyser(laboratory.port)
        analyser.socket.sendall(framed(result("1"))[:-2])
        analyser.socket.shutdown(socket.SHUT_WR)

        assert analyser.socket.recv(100) == b""

    assert sum(counts(laboratory).values()) == 0
    assert core.keys() == []


def test_the_answer_is_a_message_that_the_sender_can_match(laboratory: Laboratory) -> None:
    with laboratory.gateway():
        analyser = Analyser(laboratory.port)
        analyser.socket.sendall(b"noise" + framed(result("AB-17")) + b"\r\n")

        answer = analyser.answer()

    assert [segment.name for segment in answer.segments] == ["MSH", "MSA"]
    assert (answer.segments[1].get(2), answer.header.get(5), answer.header.get(12)) == ("AB-17", "Mindray", "2.3.1")
    assert parse(answer.body).header.get(9) == "ACK"


@pytest.mark.req("1.7.5")
def test_a_capture_is_sent_again_and_each_message_is_answered(
    laboratory: Laboratory, core: CoreReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = laboratory.folder / "capture"
    capture.write_bytes(framed(result("1")) + framed(result("2").replace(b"ORU^R01", b"QRY^Q02")) + framed(result("3")))
    with laboratory.gateway():
        assert app(["replay", str(capture), "--to", f"127.0.0.1:{laboratory.port}"]) == 1
        assert app(["replay", str(DATA / "mindray_bs.hl7"), "--to", f"127.0.0.1:{laboratory.port}"]) == 0
        assert eventually(lambda: len(core.keys()) == 3)

    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith(str(capture))]
    assert [line.split("  ")[1][:2] for line in said] == ["AA", "AR", "AA"]
    assert core.messages()[2].groups[0].specimen == "26-000417"
