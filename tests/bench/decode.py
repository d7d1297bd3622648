"""How long one ORU^R01 with twenty results takes from bytes to the contract's objects, and how long in hl7apy alone."""

import json
import statistics
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256

from hl7apy.parser import parse_message

from ingest.decode import decode
from ingest.instruments.shipped import load
from ingest.received import Received

RESULTS = 20
ROUNDS = 5
AT = datetime(2026, 11, 24, 4, 45, tzinfo=UTC)
CODES = ("GLU", "CREA", "BUN", "NA", "K", "CL", "ALT", "AST", "ALP", "TBIL")


def lean() -> bytes:
    """A patient's message with the fields that a result needs; every result has another value and another time."""
    return _message(
        f"OBX|{number}|NM|{CODES[number % 10]}|Analyte {number}|{number}.{number}2|mg/dL|3.9-6.1|N|||F"
        f"|||202611241015{number:02}"
        for number in range(1, RESULTS + 1)
    )


def full() -> bytes:
    """The same with the fields that a Mindray BS also fills (original result, operator, …)."""
    return _message(
        f"OBX|{number}|NM|{CODES[number % 10]}|Analyte {number}|{number}.{number}2|mg/dL|3.9-6.1|N|||F"
        f"||{number}.{number}2|202611241015{number:02}||tech|0|"
        for number in range(1, RESULTS + 1)
    )


def _message(observations: Iterable[str]) -> bytes:
    segments = (
        "MSH|^~\\&|Mindray|BS-480|||20261124101503||ORU^R01|417|P|2.3.1||||0||ASCII|||",
        "PID|1||VL0000001||Example^Person||19690203000000|F",
        "OBR|1|26-000123|31|Mindray^BS-480|N||20261124101500",
        *observations,
    )
    return "".join(f"{segment}\r" for segment in segments).encode()


def microseconds(work: Callable[[], object], times: int) -> float:
    """Processor time of one run, the median of five rounds."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(times):
            work()
        rounds.append((time.process_time() - start) / times * 1e6)
    return statistics.median(rounds)


def compared(sent: bytes) -> tuple[float, float]:
    """Microseconds of our decoding, from bytes to objects, and of hl7apy's parsing alone."""
    profile, text = load("mindray_bs"), sent.decode().strip("\r")
    received = Received("BS480-1", "417", sha256(sent).hexdigest(), AT, sent)
    message = decode(received, profile)
    if len(message.groups[0].observations) != RESULTS or message.error:
        raise RuntimeError("the message that is measured was not decoded")
    ours = microseconds(lambda: decode(received, profile), 400)
    return ours, microseconds(lambda: parse_message(text, find_groups=False), 6)


def measure() -> dict[str, float]:
    """Our microseconds, hl7apy's milliseconds and the ratio, for a lean message and for one as full as a Mindray's."""
    ours, theirs = compared(lean())
    ours_full, theirs_full = compared(full())
    return {
        "decode_us": round(ours, 1),
        "hl7apy_ms": round(theirs / 1000, 2),
        "ratio": round(theirs / ours, 1),
        "full_decode_us": round(ours_full, 1),
        "full_hl7apy_ms": round(theirs_full / 1000, 2),
        "full_ratio": round(theirs_full / ours_full, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
