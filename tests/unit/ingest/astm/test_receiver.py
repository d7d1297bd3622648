"""The receiving end of E1381: what is acknowledged is durable first, and nothing that was acknowledged is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from ingest.astm.link import ENQ, EOT, ETB, ETX, STX, checksum, framed
from ingest.astm.receiver import ACK, NAK, Action, Ended, Keep, Receiver, Reply, terminated

MESSAGE = b"H|\\^&|||A\rP|1\rO|1|S1||^^^GLU\rR|1|^^^GLU|5.1|mmol/L||N||F\rL|1|N\r"


def frame(number: int, text: bytes, end: bytes = ETX) -> bytes:
    summed = b"%d" % number + text + end
    return STX + summed + checksum(summed) + b"\r\n"


def heard(receiver: Receiver, data: bytes, now: float = 0.0, *, durable: bool = True) -> tuple[bytes, list[bytes]]:
    """The bytes sent back, and the messages that ended, whole or not."""
    receiver.feed(data, now)
    return done(receiver, durable=durable)


def done(receiver: Receiver, *, durable: bool = True) -> tuple[bytes, list[bytes]]:
    sent, ended = b"", []
    while (action := receiver.step()) is not None:
        if isinstance(action, Reply):
            sent += action.data
        elif isinstance(action, Keep):
            sent += receiver.kept(durable).data
            if durable and action.whole is not None:
                ended.append(action.whole)
        else:
            ended.append(action.body)
    return sent, ended


@pytest.mark.req("1.7.2")
@pytest.mark.parametrize("size", [3, 240, 64_000])
@pytest.mark.parametrize("cut", [1, 7, 100_000])
def test_a_transmission_is_taken_frame_by_frame_however_it_is_cut(size: int, cut: int) -> None:
    receiver = Receiver()
    frames = framed(MESSAGE, size)
    whole = ENQ + b"".join(frames) + EOT
    sent, ended = b"", []
    for start in range(0, len(whole), cut):
        answers, messages = heard(receiver, whole[start : start + cut])
        sent, ended = sent + answers, ended + messages

    assert sent == ACK * (1 + len(frames))
    assert ended == [MESSAGE]
    assert receiver.deadline is None


def test_a_frame_of_more_than_240_bytes_is_taken() -> None:
    long = MESSAGE.replace(b"|N||F", b"|N||F" + b"x" * 60_000)

    assert heard(Receiver(), ENQ + framed(long, 100_000)[0] + EOT) == (ACK * 2, [long])


@pytest.mark.req("1.7.2")
@pytest.mark.parametrize(
    "wrong",
    [
        frame(2, b"H|\\^&\r"),
        frame(0, b"H|\\^&\r"),
        frame(1, b"H|\\^&\r").replace(b"H", b"G"),
        frame(1, b"H|\\^&\r")[:-4] + b"zz\r\n",
        STX + b"x" + ETX + checksum(b"x" + ETX) + b"\r\n",
        frame(1, b"H|\x05\r"),
    ],
    ids=["number", "nought first", "damaged", "no checksum", "no number", "control character"],
)
def test_a_frame_that_is_not_sound_is_refused_as_often_as_it_comes_and_the_sound_one_is_taken(wrong: bytes) -> None:
    receiver = Receiver()
    assert heard(receiver, ENQ) == (ACK, [])

    assert heard(receiver, wrong * 6) == (NAK * 6, [])

    assert heard(receiver, framed(MESSAGE)[0] + EOT) == (ACK, [MESSAGE])


def test_a_repeated_frame_is_acknowledged_and_dropped_and_another_of_its_number_is_not() -> None:
    receiver = Receiver()
    first, *others = framed(MESSAGE, 20)

    assert heard(receiver, ENQ + first * 3) == (ACK * 4, [])
    assert heard(receiver, frame(1, b"something else", ETB)) == (NAK, [])
    assert heard(receiver, b"".join(one * 2 for one in others) + EOT) == (ACK * 2 * len(others), [MESSAGE])


@pytest.mark.req("1.7.5")
def test_a_frame_that_cannot_be_kept_is_refused_and_taken_when_it_can() -> None:
    receiver = Receiver()
    first, second = framed(MESSAGE, 60)[:2]
    heard(receiver, ENQ)

    assert heard(receiver, first, durable=False) == (NAK, [])
    assert heard(receiver, first) == (ACK, [])
    assert heard(receiver, second, durable=False) == (NAK, [])
    assert heard(receiver, second + EOT) == (ACK, [MESSAGE])


@pytest.mark.parametrize("silence", [29.9, 30.0])
def test_thirty_seconds_of_silence_end_a_transmission_and_not_less(silence: float) -> None:
    receiver = Receiver()
    heard(receiver, ENQ + framed(MESSAGE, 20)[0], 100.0)

    receiver.tick(100.0 + silence)

    assert done(receiver) == (b"", [MESSAGE[:20]] if silence == 30.0 else [])
    assert (receiver.deadline is None) is (silence == 30.0)


def test_an_analyser_that_begins_anew_is_heard_and_what_it_said_before_stays() -> None:
    receiver = Receiver()
    frames = framed(MESSAGE, 20)

    assert heard(receiver, ENQ + frames[0] + frames[1][:5]) == (ACK * 2, [])
    assert heard(receiver, ENQ, 10.0) == (ACK, [MESSAGE[:20]])
    assert heard(receiver, b"".join(frames) + EOT, 11.0) == (ACK * len(frames), [MESSAGE])


def test_several_messages_between_one_enq_and_eot_are_kept_one_by_one() -> None:
    first, second = framed(MESSAGE), frame(2, MESSAGE.replace(b"S1", b"S2"))

    assert heard(Receiver(), ENQ + first[0] + second + EOT) == (ACK * 3, [MESSAGE, MESSAGE.replace(b"S1", b"S2")])


def test_records_in_frames_of_their_own_without_cr_are_records_all_the_same() -> None:
    lines = MESSAGE.split(b"\r")[:-1]
    frames = b"".join(frame(number % 8, line) for number, line in enumerate(lines, start=1))

    assert heard(Receiver(), ENQ + frames + EOT) == (ACK * (1 + len(lines)), [b"\r".join(lines)])


def test_a_terminator_in_an_intermediate_frame_ends_the_message_with_eot() -> None:
    receiver = Receiver()

    assert heard(receiver, ENQ + frame(1, MESSAGE, ETB)) == (ACK * 2, [])
    assert heard(receiver, EOT) == (b"", [MESSAGE])


@pytest.mark.parametrize("noise", [b"", b"junk", EOT, b"\x021H\x0300\r\n", ACK, MESSAGE])
def test_before_enq_nothing_is_answered(noise: bytes) -> None:
    assert heard(Receiver(), noise) == (b"", [])
    assert heard(Receiver(), noise + ENQ) == (ACK, [])


def test_more_than_the_limit_is_refused_and_does_not_fill_the_memory() -> None:
    receiver = Receiver(most=100)
    heard(receiver, ENQ + frame(1, b"x" * 90, ETB))

    assert heard(receiver, frame(2, b"y" * 20)) == (NAK, [])
    assert heard(receiver, STX + b"2" + b"z" * 500) == (NAK, [])
    assert heard(receiver, EOT) == (b"", [b"x" * 90])


@pytest.mark.parametrize("cut", [1, 5, 10_000])
def test_unframed_records_are_taken_where_the_profile_says_so(cut: int) -> None:
    receiver = Receiver(unframed=True)
    sent, ended = b"", []
    for start in range(0, 2 * len(MESSAGE), cut):
        answers, messages = heard(receiver, (MESSAGE * 2)[start : start + cut])
        sent, ended = sent + answers, ended + messages

    assert (sent, ended) == (ACK * 2, [MESSAGE] * 2)


def test_unframed_records_that_stop_are_kept_as_they_are() -> None:
    receiver = Receiver(unframed=True)
    heard(receiver, MESSAGE[:30])

    receiver.close()

    assert done(receiver) == (b"", [MESSAGE[:30]])


def test_frames_without_enq_are_taken_where_unframed_records_are() -> None:
    assert heard(Receiver(unframed=True), framed(MESSAGE)[0]) == (ACK, [MESSAGE])


@pytest.mark.parametrize(
    ("body", "ends"),
    [(b"L|1|N\r", True), (b"H|\rL", True), (b"H|\rL|1|N\r\n", True), (b"H|\rLX|\r", False), (b"H|\rC|1|L|1", False)],
)
def test_a_message_ends_with_its_terminator(body: bytes, ends: bool) -> None:
    assert terminated(body) is ends


RECORDS = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4).map(
    lambda texts: b"".join(b"R|" + bytes(each for each in text if each >= 0x20) + b"\r" for text in texts)
)


class Line(RuleBasedStateMachine):
    """An analyser that keeps to E1381, a line that does not, and a disk that is sometimes full.

    `acknowledged` is what the analyser believes is safe of the message that it sends; `safe` is every text that was
    durable when it was acknowledged.
    """

    messages = Bundle("messages")

    @initialize()
    def begin(self) -> None:
        self.receiver = Receiver()
        self.now = 0.0
        self.frames: list[bytes] = []
        self.texts: list[bytes] = []
        self.at = 0
        self.granted = False
        self.acknowledged = b""
        self.durable_text = b""
        self.expected: list[bytes] = []
        self.handed: list[bytes] = []

    def say(self, data: bytes, cuts: int = 0, *, durable: bool = True) -> bytes:
        answers = b""
        places = sorted({0, len(data), *(cuts % (len(data) + 1), cuts // 7 % (len(data) + 1))})
        for start, end in pairwise(places):
            self.receiver.feed(data[start:end], self.now)
            answers += self.act(durable=durable)
        return answers

    def act(self, *, durable: bool = True) -> bytes:
        answers = b""
        action: Action | None
        while (action := self.receiver.step()) is not None:
            if isinstance(action, Reply):
                answers += action.data
            elif isinstance(action, Keep):
                if durable:
                    self.durable_text += action.text
                    if action.whole is not None:
                        assert action.whole == self.durable_text
                        self.handed.append(action.whole)
                        self.durable_text = b""
                answers += self.receiver.kept(durable).data
            else:
                assert isinstance(action, Ended)
                assert action.body == self.durable_text
                self.handed.append(action.body)
                self.durable_text = b""
        return answers

    @precondition(lambda self: not self.granted)
    @rule(records=RECORDS, size=st.integers(1, 60), whole=st.booleans())
    def bid(self, records: bytes, size: int, whole: bool) -> None:
        body = b"H|\\^&\r" + records + (b"L|1|N\r" if whole else b"")
        self.frames = framed(body, size)
        self.texts = [body[start : start + size] for start in range(0, len(body), size)]
        self.at, self.acknowledged = 0, b""
        self.granted = self.say(ENQ) == ACK
        assert self.granted

    @precondition(lambda self: self.granted and self.at < len(self.frames))
    @rule(cuts=st.integers(0, 10_000), durable=st.booleans(), heard_it=st.booleans())
    def send(self, cuts: int, durable: bool, heard_it: bool) -> None:
        before = self.durable_text, len(self.handed)
        answer = self.say(self.frames[self.at], cuts, durable=durable)
        assert answer in (ACK, NAK)
        if answer == ACK and heard_it:
            self.acknowledged += self.texts[self.at]
            self.at += 1
        if answer == NAK:
            assert before == (self.durable_text, len(self.handed))

    @precondition(lambda self: self.granted and self.at < len(self.frames))
    @rule(place=st.integers(0, 10_000), bit=st.integers(0, 7), cuts=st.integers(0, 10_000))
    def send_damaged(self, place: int, bit: int, cuts: int) -> None:
        frame_ = bytearray(self.frames[self.at])
        place = 1 + place % (len(frame_) - 3)
        frame_[place] ^= 1 << bit
        if bytes(frame_).upper() == self.frames[self.at].upper() or frame_[place] in b"\x02\x03\x17":
            return
        before = self.durable_text
        answer = self.say(bytes(frame_), cuts)
        if self.frames[self.at][place] not in b"\x02\x03\x17":
            assert answer == NAK
        assert self.durable_text == before
        self.now += 6
        if answer == b"":  # its end was damaged: the analyser waits, sends again, and is heard
            assert self.say(self.frames[self.at]) == ACK

    @precondition(lambda self: self.granted and self.at > 0)
    @rule()
    def send_the_last_again(self) -> None:
        if self.at == len(self.frames) or self.durable_text.endswith(self.texts[self.at - 1]):
            before = self.durable_text, len(self.handed)
            assert self.say(self.frames[self.at - 1]) in (ACK, NAK)
            assert before == (self.durable_text, len(self.handed))

    @precondition(lambda self: self.granted)
    @rule(how=st.sampled_from(["eot", "silence", "hang up"]))
    def end(self, how: str) -> None:
        count, left = len(self.handed), self.durable_text
        if how == "eot":
            assert self.say(EOT) == b""
        elif how == "silence":
            self.now += 31
            self.receiver.tick(self.now)
            assert self.act() == b""
        else:
            self.receiver.close()
            assert self.act() == b""
        assert (len(self.handed) > count) is bool(left.strip())
        handed = self.handed[-1] if self.handed else b""
        assert handed.startswith(self.acknowledged) or not self.acknowledged.strip()
        self.granted = False

    @precondition(lambda self: not self.granted)
    @rule(noise=st.binary(max_size=30))
    def noise(self, noise: bytes) -> None:
        assert self.say(noise.replace(ENQ, b"")) == b""

    @invariant()
    def what_the_analyser_believes_safe_is_durable(self) -> None:
        if getattr(self, "granted", False) and self.acknowledged:
            kept = self.durable_text or (self.handed[-1] if self.handed else b"")
            assert kept.startswith(self.acknowledged)


Line.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLine = pytest.mark.req("1.7.5")(Line.TestCase)
