"""From an ASTM analyser's socket to the core's database, with a real gateway between."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from ingest.astm.conversation import INCOMPLETE
from ingest.astm.decode import INCOMPLETE as NOT_TERMINATED
from ingest.astm.link import ENQ, EOT, framed, unframed
from ingest.astm.receiver import ACK, NAK
from ingest.cli import app
from ingest.contract import Control, MessageKind
from ingest.kept import Piece, State
from ingest.spool import open_spool
from ingest.virtual_lab.analyser import Faults, Patience, numbered
from ingest.virtual_lab.astm_analyser import AstmAnalyser
from ingest.virtual_lab.messages import ControlMessage, PatientMessage, SentResult
from ingest.virtual_lab.patients import Person
from tests.integration.ingest.bench import Bench
from tests.integration.ingest.gateways import Laboratory, counts, eventually
from tests.sandbox.core_receiver import CoreReceiver
from tests.unit.ingest.transmissions import DATA

CHANNEL = "XN1000-1"
AT = datetime(2026, 11, 24, 4, 45, tzinfo=UTC)


def person(number: int) -> Person:
    return Person(
        uhid=f"HN-{number}", name=f"Asha Deshmukh{number}", phone=None, sex="female",
        birth_on=datetime(1984, 6, 12, tzinfo=UTC).date(), birth_precision="day",
    )  # fmt: skip


def patient(number: int) -> PatientMessage:
    results = tuple(
        SentResult(code=code, name=code, text=f"{number}.{place}", unit=unit)
        for place, (code, unit) in enumerate((("WBC", "10*3/uL"), ("HGB", "g/dL"), ("PLT", "10*3/uL")), start=1)
    )
    return PatientMessage(
        specimen=f"26-{number:06}", own_number=number, stated=person(number), results=results, observed_at=AT
    )


def control(level: int) -> ControlMessage:
    return ControlMessage(
        material="Haematology control", lot_number="HC2611", level=level, code="HGB", name="HGB", text=f"{9 + level}.5",
        unit="g/dL", mean=12.0, sd=0.2, observed_at=AT,
    )  # fmt: skip


def body(number: int) -> bytes:
    return (
        f"H|\\^&|||    XN-1000^00-24\rP|1|||HN-{number}|^Asha^Deshmukh\rO|1||^^      26-{number:06}^B|^^^^WBC|||||||N\r"
        f"R|1|^^^^WBC^1|{number}.5|10*3/uL||N||F||||20261124101500\rR|2|^^^^HGB^1|13.5|g/dL||N||F||||20261124101500\r"
        "L|1|N\r"
    ).encode()


@pytest.fixture
def astm(tmp_path: Path, core: CoreReceiver) -> Laboratory:
    return Laboratory(tmp_path, core, channel=CHANNEL, profile="sysmex_xn")


def alarms(laboratory: Laboratory) -> dict[str, int]:
    spool = open_spool(laboratory.spool)
    try:
        return spool.alarms()
    finally:
        spool.close()


@pytest.mark.req("1.7.2")
@pytest.mark.parametrize("dialect", ["sysmex_xn", "generic_astm"])
def test_patients_and_controls_reach_the_core_whatever_happens_on_the_line(
    tmp_path: Path, core: CoreReceiver, dialect: str
) -> None:
    laboratory = Laboratory(tmp_path, core, channel=CHANNEL, profile=dialect)
    messages = numbered([*(patient(number) for number in range(1, 13)), control(1), control(2)])
    faults = Faults(duplicate_share=0.3, cut_share=0.3, damage_share=0.3)
    with (
        laboratory.gateway(),
        AstmAnalyser(
            "127.0.0.1",
            laboratory.port,
            dialect=dialect,
            faults=faults,
            patience=Patience(answer=5, pause=0.02),
            seed=5,
        ) as analyser,
    ):
        tally = analyser.transmit(messages)
        assert eventually(lambda: counts(laboratory)[State.KEPT] == 0)

    assert (tally.accepted, tally.given_up) == (14, [])
    assert min(tally.cuts, tally.damaged, tally.duplicates) > 0
    read = [message for message in core.messages() if message.error is None]
    assert [message.kind for message in read].count(MessageKind.CONTROL) == 2
    patients = [message.groups[0] for message in read if message.kind is MessageKind.PATIENT]
    assert [group.specimen for group in patients] == [f"26-{number:06}" for number in range(1, 13)]
    assert [one.value for one in patients[2].observations] == [Decimal("3.1"), Decimal("3.2"), Decimal("3.3")]
    assert patients[0].identity is not None
    assert (patients[0].identity.patient_number, patients[0].identity.sex) == ("HN-1", "female")
    assert {one.observed_at for group in patients for one in group.observations} == {AT}
    assert [message.groups[0].control for message in read if message.kind is MessageKind.CONTROL] == [
        Control(material="Haematology control", lot="HC2611", level=level) for level in (1, 2)
    ]


@pytest.mark.req("1.7.2")
def test_six_bad_checksums_are_refused_and_the_analyser_gives_up_without_a_trace(
    astm: Laboratory, core: CoreReceiver
) -> None:
    (sound,) = framed(body(1), 64_000)
    damaged = sound.replace(b"1.5|", b"9.5|")
    with astm.gateway():
        bench = Bench(astm.port)

        assert bench.begin([damaged] * 7) == [ACK, *[NAK] * 7]
        bench.socket.sendall(EOT)
        assert bench.transmit(body(2)) == [ACK, ACK]
        assert eventually(lambda: len(core.keys()) == 1)

    assert core.messages()[0].groups[0].specimen == "26-000002"
    assert alarms(astm) == {}


@pytest.mark.req("1.7.5")
@pytest.mark.parametrize("how", ["eot", "hang up", "silence"])
def test_what_was_acknowledged_before_it_broke_off_is_parked_and_the_whole_is_recorded_once(
    astm: Laboratory, core: CoreReceiver, how: str
) -> None:
    frames = framed(body(1), 60)
    assert len(frames) > 2
    with astm.gateway(astm_silence_s=0.4):
        bench = Bench(astm.port)
        assert bench.begin(frames[:2]) == [ACK] * 3
        if how == "eot":
            bench.socket.sendall(EOT)
        elif how == "hang up":
            bench.close()
        else:
            time.sleep(0.6)
            assert bench.say(ENQ) == ACK
            bench.close()
        assert eventually(lambda: len(core.keys()) == 1)

        for _ in range(2):
            assert Bench(astm.port).transmit(body(1), 60) == [ACK] * (1 + len(frames))
        assert eventually(lambda: len(core.keys()) == 2)

    incomplete, whole = core.messages()
    assert incomplete.error == NOT_TERMINATED
    assert b"".join([incomplete.envelope, *(group.raw for group in incomplete.groups)]) == body(1)[:120]
    assert [group.observations for group in incomplete.groups] == [()]
    assert whole.error is None
    assert [one.value for one in whole.groups[0].observations] == [Decimal("1.5"), Decimal("13.5")]
    assert alarms(astm) == {f"{INCOMPLETE} {CHANNEL}": 1}


@pytest.mark.req("1.7.5")
def test_what_cannot_be_kept_is_refused(astm: Laboratory, core: CoreReceiver) -> None:
    many = b"".join(body(number) for number in range(6_000)).replace(b"L|1|N\rH|", b"C|1|")
    with astm.gateway(spool_megabytes=1, message_bytes=4_000_000):
        bench = Bench(astm.port)
        answers = bench.begin(framed(many, 64_000))
        bench.socket.sendall(EOT)

        assert eventually(lambda: len(core.keys()) == 1)

    taken = answers.index(NAK) - 1
    assert answers == [ACK] * (1 + taken) + [NAK] * (len(answers) - taken - 1)
    assert core.messages()[0].body_sha256 == sha256(many[: 64_000 * taken]).hexdigest()


def test_a_query_is_acknowledged_and_set_aside(astm: Laboratory, core: CoreReceiver) -> None:
    with astm.gateway():
        assert Bench(astm.port).transmit(b"H|\\^&|||XN\rQ|1|^S1||ALL||||||||O\rL|1|N\r") == [ACK, ACK]
        assert Bench(astm.port).transmit(body(1)) == [ACK, ACK]
        assert eventually(lambda: counts(astm)[State.DELIVERED] == 1 and counts(astm)[State.REFUSED] == 1)


def test_unframed_records_are_taken_by_a_profile_that_says_so_and_by_no_other(
    tmp_path: Path, core: CoreReceiver, astm: Laboratory
) -> None:
    generic = Laboratory(tmp_path, core, channel="IMM-1", profile="generic_astm")
    with astm.gateway():
        Bench(astm.port).socket.sendall(body(1))
        assert Bench(astm.port).transmit(body(2)) == [ACK, ACK]
        assert eventually(lambda: len(core.keys()) == 1)
    with generic.gateway():
        assert Bench(generic.port).say(body(3)) == ACK
        assert eventually(lambda: len(core.keys()) == 2)

    assert [message.groups[0].specimen for message in core.messages()] == ["26-000002", "26-000003"]


@pytest.mark.req("1.7.5")
def test_no_acknowledged_frame_lies_in_clear_on_the_disk(astm: Laboratory, core: CoreReceiver) -> None:
    with astm.gateway():
        bench = Bench(astm.port)
        assert bench.begin(framed(body(1), 100)[:2]) == [ACK] * 3
        on_disk = b"".join(path.read_bytes() for path in astm.spool.iterdir())

    assert b"Deshmukh" not in on_disk
    assert b"HN-1" not in on_disk


def test_pieces_of_a_process_that_died_are_kept_at_the_next_start(astm: Laboratory, core: CoreReceiver) -> None:
    spool = open_spool(astm.spool)
    spool.keep([Piece("a", CHANNEL, body(1), AT), Piece("b", CHANNEL, body(2)[:60], AT)])
    spool.keep([Piece("b", CHANNEL, body(2)[60:90], AT)])
    spool.close()

    with astm.gateway():
        assert eventually(lambda: len(core.keys()) == 2)

    first, second = core.messages()
    assert (first.error, first.received_at) == (None, AT)
    assert second.error == NOT_TERMINATED
    assert second.body_sha256 == sha256(body(2)[:90]).hexdigest()
    spool = open_spool(astm.spool)
    assert spool.unfinished(datetime.now(UTC)) == []
    spool.close()


@pytest.mark.req("1.7.5")
def test_a_capture_is_sent_again_byte_for_byte_and_the_answers_are_told(
    astm: Laboratory, core: CoreReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = astm.folder / "damaged"
    damaged.write_bytes((DATA / "generic_astm.astm").read_bytes().replace(b"0.01", b"0.02"))
    to = ["--to", f"127.0.0.1:{astm.port}"]
    with astm.gateway():
        good = app(["replay", str(DATA / "sysmex_xn.astm"), str(DATA / "sysmex_xn_control.astm"), *to])
        bad = app(["replay", str(damaged), *to])
        assert eventually(lambda: len(core.keys()) == 2)

    said = [line.split("  ")[1] for line in capsys.readouterr().out.splitlines() if "  " in line and "astm" in line]
    assert (good, bad) == (0, 1)
    assert said == ["ACK to 1 frames"] * 2
    assert [message.error for message in core.messages()][:2] == [None, None]
    assert (
        core.messages()[0].body_sha256 == sha256(unframed((DATA / "sysmex_xn.astm").read_bytes())[0].body).hexdigest()
    )


def test_records_without_frames_are_sent_in_frames_or_as_they_are(
    tmp_path: Path, core: CoreReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    generic = Laboratory(tmp_path, core, channel="IMM-1", profile="generic_astm")
    bare = tmp_path / "bare"
    bare.write_bytes(body(1))
    to = ["--to", f"127.0.0.1:{generic.port}"]
    with generic.gateway():
        assert app(["replay", str(bare), *to]) == 0
        assert app(["replay", str(bare), "--unframed", *to]) == 0
        assert eventually(lambda: len(core.keys()) == 1)

    assert core.messages()[0].body_sha256 == sha256(body(1)).hexdigest()
