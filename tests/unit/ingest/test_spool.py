import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingest.seal import KeyUnusable
from ingest.spool import DATABASE, KEY, Incoming, Keeping, PendingBatch, Spool, SpoolUnusable, State, open_spool

AT = datetime(2026, 1, 23, 8, 45, tzinfo=UTC)
LATER = AT + timedelta(days=1)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = open_spool(tmp_path / "spool")
    yield opened
    opened.close()


def incoming(control_id: str, body: bytes, channel: str = "A", refusal: str | None = None) -> Incoming:
    return Incoming(channel, control_id, body, AT, refusal)


def name(control_id: str, body: bytes, channel: str = "A") -> tuple[str, str, str]:
    return channel, control_id, sha256(body).hexdigest()


def batch(spool: Spool, most: int = 50) -> PendingBatch:
    found = spool.next_batch(most, 1_000_000, AT, None)
    assert found is not None
    return found


@pytest.mark.req("1.7.5")
def test_what_is_kept_is_there_after_opening_again_and_only_as_ciphertext(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    first.keep([incoming("1", b"Doe^Jane")])
    first.close()

    assert not any(b"Doe^Jane" in path.read_bytes() for path in tmp_path.iterdir())
    second = open_spool(tmp_path)
    assert second.body(name("1", b"Doe^Jane")) == b"Doe^Jane"
    second.close()


def test_a_repeat_is_no_second_transmission(spool: Spool) -> None:
    assert spool.keep([incoming("1", b"x"), incoming("1", b"x")]) == [Keeping.NEW, Keeping.REPEAT]
    assert spool.keep([incoming("1", b"x")]) == [Keeping.REPEAT]
    assert spool.counts()[State.KEPT] == 1


def test_the_same_id_with_another_body_is_another_transmission_and_an_alarm(spool: Spool) -> None:
    assert spool.keep([incoming("1", b"x"), incoming("1", b"y"), incoming("1", b"z", channel="B")]) == [
        Keeping.NEW,
        Keeping.NEW_WITH_REUSED_ID,
        Keeping.NEW,
    ]
    assert spool.counts()[State.KEPT] == 3
    assert spool.alarms() == {"control-id-reused A": 1}


def test_a_batch_keeps_its_id_and_its_members_until_it_is_answered(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.keep([incoming("1", b"x"), incoming("2", b"y")])
    before = batch(spool)
    spool.keep([incoming("3", b"z")])
    spool.close()

    again = open_spool(tmp_path)
    assert batch(again) == before
    assert [one.control_id for one in before.transmissions] == ["1", "2"]
    again.settle(before.id, {one.name: "recorded" for one in before.transmissions}, AT)
    following = batch(again)
    assert following.id != before.id
    assert [one.control_id for one in following.transmissions] == ["3"]
    again.close()


def test_a_batch_is_limited_by_number_and_by_size_but_takes_one_at_least(spool: Spool) -> None:
    spool.keep([incoming(str(number), bytes(1000)) for number in range(5)])

    first = spool.next_batch(3, 1_000_000, AT, -5)
    assert first is not None
    assert (len(first.transmissions), first.clock_offset_ms, first.sent_at) == (3, -5, AT)
    spool.split(first.id, AT)
    assert len(batch(spool).transmissions) == 1
    spool.settle(batch(spool).id, {}, AT)
    tiny = spool.next_batch(50, 10, AT, None)
    assert tiny is not None
    assert len(tiny.transmissions) == 1


def test_what_a_receipt_does_not_name_waits_again(spool: Spool) -> None:
    spool.keep([incoming("1", b"x"), incoming("2", b"y")])
    sent = batch(spool)

    assert spool.settle(sent.id, {name("1", b"x"): "parked", name("9", b"q"): "recorded"}, AT) == 1

    assert spool.counts()[State.DELIVERED] == 1
    assert [one.control_id for one in batch(spool).transmissions] == ["2"]


def test_a_split_batch_is_sent_one_by_one_in_order(spool: Spool) -> None:
    spool.keep([incoming(str(number), b"x%d" % number) for number in range(3)])
    sent = batch(spool)

    spool.split(sent.id, AT)

    order = []
    for _ in range(3):
        single = batch(spool)
        order += [one.control_id for one in single.transmissions]
        spool.settle(single.id, {one.name: "recorded" for one in single.transmissions}, AT)
    assert order == ["0", "1", "2"]
    assert spool.next_batch(50, 1000, AT, None) is None


def test_what_the_core_refuses_is_set_aside_and_can_be_let_go(spool: Spool) -> None:
    spool.keep([incoming("1", b"x"), incoming("2", b"q", refusal="unsupported-type")])

    spool.refuse(batch(spool).id, "https://docs.lims.example/errors/unprocessable", AT)

    assert {one.problem for one in spool.refused()} == {
        "https://docs.lims.example/errors/unprocessable",
        "gateway:unsupported-type",
    }
    assert spool.waiting() == 0
    assert spool.release() == 1
    assert [one.control_id for one in batch(spool).transmissions] == ["1"]


def test_what_we_refuse_is_kept_but_never_delivered(spool: Spool) -> None:
    assert spool.keep([incoming("", b"junk", refusal="no-msh"), incoming("", b"junk", refusal="no-msh")]) == [
        Keeping.NEW,
        Keeping.REPEAT,
    ]
    assert spool.next_batch(50, 1000, AT, None) is None
    assert spool.body(name("", b"junk")) == b"junk"


def test_after_its_retention_the_body_is_erased_and_a_repeat_is_still_known(spool: Spool) -> None:
    spool.keep([incoming("1", b"x"), incoming("2", b"y"), incoming("3", b"z", refusal="no-msh")])
    sent = batch(spool, most=1)
    spool.settle(sent.id, {name("1", b"x"): "recorded"}, AT)

    assert spool.purge(AT) == 0
    assert spool.purge(LATER) == 2

    assert spool.body(name("1", b"x")) is None
    assert spool.body(name("2", b"y")) == b"y"
    assert spool.keep([incoming("1", b"x")]) == [Keeping.REPEAT]
    assert spool.counts() == {State.KEPT: 1, State.DELIVERED: 0, State.REFUSED: 0, State.PURGED: 2}
    assert spool.purge(LATER) == 0


def test_a_damaged_transmission_does_not_hold_up_the_others(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.keep([incoming("1", b"x"), incoming("2", b"y")])
    spool.close()
    with sqlite3.connect(tmp_path / DATABASE) as direct:
        direct.execute("update transmissions set sealed = zeroblob(40) where control_id = '1'")
    direct.close()

    again = open_spool(tmp_path)

    assert [one.control_id for one in batch(again).transmissions] == ["2"]
    assert [one.problem for one in again.refused()] == ["gateway:damaged"]
    again.close()


def test_a_full_spool_keeps_nothing_of_the_commit(tmp_path: Path) -> None:
    opened = open_spool(tmp_path)
    opened.keep([incoming("1", b"x")])
    opened.limit(300_000)

    with pytest.raises(sqlite3.OperationalError, match="full"):
        opened.keep([incoming("2", b"y"), incoming("3", bytes(1_000_000))])

    assert opened.counts()[State.KEPT] == 1
    assert opened.keep([incoming("4", b"w")]) == [Keeping.NEW]
    opened.close()


def test_a_spool_without_its_key_or_with_another_is_refused(tmp_path: Path) -> None:
    open_spool(tmp_path / "a").close()
    open_spool(tmp_path / "b").close()
    (tmp_path / "a" / KEY).replace(tmp_path / "a.key")

    with pytest.raises(KeyUnusable, match="bring the key back"):
        open_spool(tmp_path / "a")
    (tmp_path / "b" / KEY).replace(tmp_path / "a" / KEY)
    with pytest.raises(KeyUnusable, match="another key"):
        open_spool(tmp_path / "a")


def test_a_file_that_is_no_spool_is_refused(tmp_path: Path) -> None:
    open_spool(tmp_path).close()
    (tmp_path / DATABASE).write_bytes(b"this is not a database at all" * 100)

    with pytest.raises(SpoolUnusable):
        open_spool(tmp_path)


class SpoolMachine(RuleBasedStateMachine):
    """The spool against a model of it: plain dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.spool = open_spool(self.folder)
        self.states: dict[tuple[str, str, str], str] = {}
        self.bodies: dict[tuple[str, str, str], bytes] = {}
        self.pending: tuple[UUID, list[tuple[str, str, str]]] | None = None

    @rule(control_id=st.sampled_from("123"), body=st.sampled_from([b"x", b"y"]), refused=st.booleans())
    def keep(self, control_id: str, body: bytes, refused: bool) -> None:
        key = name(control_id, body)
        reused = any(other[:2] == key[:2] for other in self.states)

        (keeping,) = self.spool.keep([incoming(control_id, body, refusal="test" if refused else None)])

        if key in self.states:
            assert keeping is Keeping.REPEAT
            return
        assert keeping is (Keeping.NEW_WITH_REUSED_ID if reused and not refused else Keeping.NEW)
        self.states[key] = "ours" if refused else "kept"
        self.bodies[key] = body

    @rule(most=st.integers(1, 3))
    def send(self, most: int) -> None:
        found = self.spool.next_batch(most, 10_000, AT, None)
        waiting = [key for key, state in self.states.items() if state == "kept"]
        if found is None:
            assert not waiting
            return
        members = [one.name for one in found.transmissions]
        assert all(self.bodies[one.name] == one.body for one in found.transmissions)
        if self.pending:
            assert (found.id, members) == self.pending
        else:
            assert set(members) <= set(waiting)
            assert len(members) == min(most, len(waiting))
        self.pending = (found.id, members)

    @precondition(lambda self: self.pending)
    @rule(all_named=st.booleans())
    def receive(self, all_named: bool) -> None:
        assert self.pending
        batch_id, members = self.pending
        named = members if all_named else members[1:]
        assert self.spool.settle(batch_id, dict.fromkeys(named, "recorded"), AT) == len(members) - len(named)
        self.states |= dict.fromkeys(named, "delivered")
        self.pending = None

    @precondition(lambda self: self.pending and len(self.pending[1]) == 1)
    @rule()
    def refuse(self) -> None:
        assert self.pending
        self.spool.refuse(self.pending[0], "problem", AT)
        self.states[self.pending[1][0]] = "refused"
        self.pending = None

    @rule()
    def release(self) -> None:
        let = [key for key, state in self.states.items() if state == "refused"]
        assert self.spool.release() == len(let)
        self.states |= dict.fromkeys(let, "kept")

    @rule()
    def purge(self) -> None:
        gone = [key for key, state in self.states.items() if state in {"delivered", "ours"}]
        assert self.spool.purge(LATER) == len(gone)
        self.states |= dict.fromkeys(gone, "purged")

    @rule()
    def open_again(self) -> None:
        self.spool.close()
        self.spool = open_spool(self.folder)

    @invariant()
    def counts_agree(self) -> None:
        found = self.spool.counts()
        states = list(self.states.values())
        assert found[State.KEPT] == states.count("kept") == self.spool.waiting()
        assert found[State.DELIVERED] == states.count("delivered")
        assert found[State.REFUSED] == states.count("refused") + states.count("ours")
        assert found[State.PURGED] == states.count("purged")

    def teardown(self) -> None:
        self.spool.close()
        rmtree(self.folder)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
