from datetime import UTC, datetime

import pytest

from ingest.virtual_lab.analyser import Analyser, Faults, GatewayUnreachable, Patience, numbered
from ingest.virtual_lab.messages import ControlMessage
from tests.unit.virtual_lab.servers import Gateway

AT = datetime(2026, 11, 24, 4, 45, tzinfo=UTC)
QUICK = Patience(answer=0.5, connection=2, pause=0.01, attempts=5)


def _controls(count: int) -> list[ControlMessage]:
    return [
        ControlMessage(
            material="Chemistry control", lot_number="L1", level=1, code="K", name="Potassium", text=f"{value / 10}",
            unit="mmol/L", mean=4.0, sd=0.1, observed_at=AT,
        )
        for value in range(count)
    ]  # fmt: skip


def _faulty(gateway: Gateway, faults: Faults, seed: int = 0) -> Analyser:
    return Analyser("127.0.0.1", gateway.port, patience=QUICK, faults=faults, seed=seed)


@pytest.mark.req("1.7.3")
def test_messages_are_sent_in_order_and_counted_when_accepted() -> None:
    with Gateway().running() as gateway, Analyser("127.0.0.1", gateway.port, patience=QUICK) as analyser:
        tally = analyser.transmit(numbered(_controls(5)))

    assert gateway.control_ids == ["1", "2", "3", "4", "5"]
    assert (tally.messages, tally.transmissions, tally.accepted, tally.connections) == (5, 5, 5, 1)
    assert tally.given_up == []


def test_without_an_answer_the_same_bytes_are_sent_again_on_a_new_connection() -> None:
    gateway = Gateway(lambda control_id, nth: None if control_id == "2" and nth == 1 else "AA")

    with gateway.running(), Analyser("127.0.0.1", gateway.port, patience=QUICK) as analyser:
        tally = analyser.transmit(numbered(_controls(3)))

    assert gateway.control_ids == ["1", "2", "2", "3"]
    assert gateway.bodies[1] == gateway.bodies[2]
    assert (tally.accepted, tally.unanswered, tally.connections) == (3, 1, 2)


def test_a_message_refused_for_now_is_sent_again_until_it_is_accepted() -> None:
    gateway = Gateway(lambda _, nth: "AE" if nth < 3 else "AA")

    with gateway.running(), Analyser("127.0.0.1", gateway.port, patience=QUICK) as analyser:
        tally = analyser.transmit(numbered(_controls(1)))

    assert gateway.control_ids == ["1", "1", "1"]
    assert (tally.refused_for_now, tally.accepted, tally.connections) == (2, 1, 1)


def test_a_rejected_message_is_not_sent_again() -> None:
    gateway = Gateway(lambda control_id, _: "AR" if control_id == "1" else "AA")

    with gateway.running(), Analyser("127.0.0.1", gateway.port, patience=QUICK) as analyser:
        tally = analyser.transmit(numbered(_controls(2)))

    assert gateway.control_ids == ["1", "2"]
    assert (tally.rejected, tally.accepted, tally.given_up) == (1, 1, [1])


def test_a_message_never_accepted_is_given_up_and_the_next_one_sent() -> None:
    gateway = Gateway(lambda control_id, _: "AE" if control_id == "1" else "AA")

    with gateway.running(), Analyser("127.0.0.1", gateway.port, patience=QUICK) as analyser:
        tally = analyser.transmit(numbered(_controls(2)))

    assert gateway.heard("1") == QUICK.attempts
    assert (tally.given_up, tally.accepted) == ([1], 1)


def test_an_answer_to_an_earlier_message_is_not_taken_for_this_one() -> None:
    class Late(Gateway):
        def talk(self, line: object) -> None:
            late = b"\x0bMSH|^~\\&|||||||ACK^R01|9|P|2.3.1\rMSA|AR|99\r\x1c\r"
            line.sendall(late)  # type: ignore[attr-defined]
            super().talk(line)  # type: ignore[arg-type]

    with Late().running() as gateway, Analyser("127.0.0.1", gateway.port, patience=QUICK) as analyser:
        tally = analyser.transmit(numbered(_controls(1)))

    assert (tally.accepted, tally.rejected) == (1, 0)


def test_duplicates_are_the_same_bytes_under_the_same_control_id() -> None:
    with Gateway().running() as gateway, _faulty(gateway, Faults(duplicate_share=1.0)) as analyser:
        tally = analyser.transmit(numbered(_controls(2)))

    assert gateway.control_ids == ["1", "1", "2", "2"]
    assert gateway.bodies[0] == gateway.bodies[1]
    assert (tally.duplicates, tally.accepted) == (2, 2)


def test_a_cut_before_the_answer_leads_to_one_repeat_of_every_message() -> None:
    with Gateway().running() as gateway, _faulty(gateway, Faults(cut_share=1.0)) as analyser:
        tally = analyser.transmit(numbered(_controls(3)))

    assert (tally.cuts, tally.accepted, tally.connections) == (3, 3, 4)
    assert {gateway.heard(control_id) for control_id in "123"} <= {1, 2}
    assert gateway.connections == 4


def test_the_share_of_faults_is_about_what_was_asked_and_the_same_for_a_seed() -> None:
    def duplicates(seed: int) -> int:
        with Gateway().running() as gateway, _faulty(gateway, Faults(duplicate_share=0.1), seed) as analyser:
            return analyser.transmit(numbered(_controls(200))).duplicates

    assert duplicates(1) == duplicates(1)
    assert 8 <= duplicates(1) <= 35


def test_after_a_reboot_the_control_ids_restart_with_other_messages() -> None:
    messages = _controls(5)

    found = numbered(messages, first=10, reboot_after=3)

    assert [one.control_id for one in found] == [10, 11, 12, 1, 2]
    assert [one.message for one in found] == messages
    assert [one.control_id for one in numbered(messages, reboot_after=9)] == [1, 2, 3, 4, 5]


def test_a_gateway_that_is_not_there_is_said_after_the_analysers_patience() -> None:
    with Gateway().running() as gateway:
        port = gateway.port
    impatient = Patience(answer=0.2, connection=0.1, pause=0.02, attempts=2)

    with Analyser("127.0.0.1", port, patience=impatient) as analyser, pytest.raises(GatewayUnreachable):
        analyser.transmit(numbered(_controls(1)))


def test_a_gateway_that_comes_back_gets_what_it_missed() -> None:
    with Gateway(lambda _, __: None).running() as gone:
        port = gone.port
        with Analyser("127.0.0.1", port, patience=Patience(answer=0.2, pause=0.01, attempts=2)) as analyser:
            missed = analyser.transmit(numbered(_controls(1)))
    assert missed.given_up == [1]

    with Gateway().running() as back, Analyser("127.0.0.1", back.port, patience=QUICK) as analyser:
        assert analyser.transmit(numbered(_controls(1))).accepted == 1
