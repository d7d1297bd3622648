"""A log line cannot hold a name, a phone or an identity number, however it is passed."""

import json
import logging
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lims_api.core import telemetry
from lims_api.core.ids import uuid7
from lims_api.core.telemetry import ALLOWED, MASKED, NoText, configure_logs, mask

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Say = Callable[..., dict[str, Any]]

# What must never be read in a log, in the forms it is written in.
FIRST = st.sampled_from(["Asha", "Ravi", "Lakshmi", "Mohammed", "O'Brien", "आशा", "லட்சுமி", "Zoë", "RAVI", "Shri Ravi"])
LAST = st.sampled_from(["Rao", "Sharma", "Chowdhury", "शर्मा", "Khan", "D'Souza", "KUMAR", "Iyer-Nair"])
JOIN = st.sampled_from([" ", "  ", ", ", "\n", "\t", "\r\n", "\u00a0", "\u2028", " \u200b", " . "])
full_names = st.builds(lambda first, join, last: first + join + last, FIRST, JOIN, LAST)
SEPARATORS = st.sampled_from(["", " ", "-", ".", "\u00a0", " - ", "\u200b", ") "])
DIGITS = st.sampled_from(["0123456789", "०१२३४५६७८९", "௦௧௨௩௪௫௬௭௮௯", "০১২৩৪৫৬৭৮৯", "0123456789"])
PREFIX = st.sampled_from(["", "+91", "+91 ", "91", "0", "0091 ", "(+91) ", "+91-"])


@st.composite
def phones(draw: st.DrawFn) -> tuple[str, str]:
    """`(written, plain ten digits)`"""
    plain = draw(st.sampled_from("6789")) + draw(st.text("0123456789", min_size=9, max_size=9))
    cut, separator = draw(st.integers(3, 7)), draw(SEPARATORS)
    written = draw(PREFIX) + plain[:cut] + separator + plain[cut:]
    return written.translate(str.maketrans("0123456789", draw(DIGITS))), plain


@st.composite
def identities(draw: st.DrawFn) -> str:
    """An Aadhaar, ABHA or PAN, an ABHA or e-mail address, or a bearer's token."""
    digits = st.text("0123456789", min_size=4, max_size=4)
    separator = draw(st.sampled_from(["", " ", "-"]))
    letters = st.text(string.ascii_uppercase, min_size=5, max_size=5)
    word = st.text(string.ascii_lowercase, min_size=2, max_size=8)
    drawn: str = draw(
        st.one_of(
            st.tuples(st.sampled_from("23456789"), digits, digits, digits).map(
                lambda parts: separator.join((parts[0] + parts[1][1:], *parts[2:]))
            ),
            st.tuples(digits, digits, digits, digits).map(lambda parts: separator.join((parts[0][:2], *parts[1:]))),
            st.tuples(letters, digits, letters).map(lambda parts: parts[0] + parts[1] + parts[2][0]),
            st.tuples(word, word).map(lambda parts: f"{parts[0]}@{parts[1]}.in"),
            st.tuples(word, st.just("abdm")).map(lambda parts: f"{parts[0]}@{parts[1]}"),
            st.tuples(word, word).map(lambda parts: f"eyJ{parts[0]}.eyJ{parts[1]}.sig"),
        )
    )
    return drawn


def ascii_digits(text: str) -> str:
    """Every digit of a text, whatever script, as ASCII; nothing else."""
    return "".join(str(int(character)) for character in text if character.isdigit())


@pytest.fixture
def say() -> Iterator[Say]:
    """Logs one line as the product does, and gives what was written, decoded."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs()
    out = StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(out))

    def write(event: Any = "result recorded", **facts: Any) -> dict[str, Any]:
        out.truncate(out.seek(0))
        structlog.get_logger().info(event, **facts)
        line = out.getvalue()
        assert line.count("\n") == 1
        decoded: dict[str, Any] = json.loads(line)
        return decoded

    yield write
    structlog.configure(**before)
    root.handlers[:], root.level = handlers, level


SHAPED = sorted(telemetry._SHAPES)
NOT_ALLOWED = ["patient", "name", "phone", "body", "query", "url", "value", "detail", "user", "headers"]
anywhere = st.one_of(st.just("event"), st.sampled_from(SHAPED), st.sampled_from(NOT_ALLOWED))
"""The message most often: it has no shape to fail."""


def everything(line: dict[str, Any]) -> str:
    return " ".join(f"{key} {value}" for key, value in line.items() if key != "timestamp")


@pytest.mark.req("4.4.3")
@quick
@given(full_names, st.sampled_from(SHAPED + NOT_ALLOWED))
def test_a_name_survives_under_no_key(say: Say, name: str, key: str) -> None:
    written = everything(say(**{key: name}))

    for part in (name, *name.split()):
        if len(part) > 1:
            assert part not in written


@pytest.mark.req("4.4.3")
@quick
@given(phones(), anywhere, st.sampled_from(["{}", "tel:{}", "x{}y", "{},{}"]))
def test_a_phone_survives_under_no_key_in_no_form(say: Say, phone: tuple[str, str], key: str, form: str) -> None:
    written, plain = phone
    value = form.replace("{}", written)

    line = say(value) if key == "event" else say(**{key: value})

    assert plain not in ascii_digits(everything(line))
    assert written not in everything(line)


@pytest.mark.req("4.4.3")
@quick
@given(identities(), anywhere)
def test_an_identity_number_or_address_survives_under_no_key(say: Say, identity: str, key: str) -> None:
    line = say(identity) if key == "event" else say(**{key: identity})

    assert identity not in everything(line)


@pytest.mark.req("4.4.3")
@quick
@given(phones(), anywhere)
def test_a_phone_given_as_a_number_survives_under_no_key(say: Say, phone: tuple[str, str], key: str) -> None:
    for value in (int(phone[1]), float(phone[1])):
        line = say(value) if key == "event" else say(**{key: value})

        assert phone[1] not in everything(line)


class Row:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Row({self.name})"

    __str__ = __repr__


@pytest.mark.req("4.4.3")
@quick
@given(full_names, phones(), anywhere)
def test_nothing_inside_another_value_survives(say: Say, name: str, phone: tuple[str, str], key: str) -> None:
    values = [
        {"n": name},
        [name],
        (name,),
        {name},
        {name: 1},
        Row(name),
        ValueError(name),
        name.encode(),
        {"p": phone[1]},
    ]
    for value in values:
        written = everything(say(value) if key == "event" else say(**{key: value}))

        assert name.rsplit(maxsplit=1)[-1] not in written
        assert phone[1] not in written


@pytest.mark.req("4.4.3")
@quick
@given(full_names, phones())
def test_an_exceptions_text_is_not_written_its_type_and_place_are(say: Say, name: str, phone: tuple[str, str]) -> None:
    def deepest() -> None:
        patient = {"name": name}  # a local that a careless traceback would show
        raise ValueError(f"bad row {patient} {phone[0]}") from KeyError(name)

    try:
        deepest()
    except ValueError as error:
        lines = [say("failed", exc_info=error), say("failed", exc_info=True), say("failed", exc_info=sys.exc_info())]
        lines += [say("failed", exception=name), say("failed", stack=name, stack_info=True)]

    for line in lines[:3]:
        assert line["exception"].startswith("ValueError\n")
        assert "test_telemetry.py" in line["exception"]
        assert line["exception"].endswith(" deepest")
    for line in lines:
        assert name.rsplit(maxsplit=1)[-1] not in everything(line)
        assert phone[1] not in ascii_digits(everything({**line, "exception": ""}))


@pytest.mark.req("4.4.3")
@quick
@given(full_names, st.sampled_from(["\n", "\r\n", "\x0b", "\x0c", "\x1b[2J", "\x85", "\u2028", "\x00"]))
def test_a_line_cannot_be_forged_by_a_line_break(say: Say, name: str, line_break: str) -> None:
    line = say(f"recorded{line_break}{{}}", route=f"/v1{line_break}x", outcome=line_break)

    assert line_break not in everything(line)
    assert all(character.isprintable() for character in everything(line))


@pytest.mark.req("4.4.3")
@quick
@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_an_unknown_key_is_dropped_and_named_only_if_it_is_a_word(say: Say, key: str, value: str) -> None:
    if key in ALLOWED or key in ("exc_info", "event"):
        return

    line = say(**{key: value})

    assert set(line) == {"event", "level", "timestamp", "dropped"}
    assert line["dropped"] == ([key] if set(key) <= set(string.ascii_lowercase + "_") else [MASKED])


class Outcome(StrEnum):
    HELD = "held"


GOOD: dict[str, Any] = {
    "request_id": str(uuid7()),
    "organization_id": uuid7(),
    "order_id": "019d2345-7123-7123-8123-123456789012",
    "route": "/v1/specimens/{accession_number}/receive",
    "method": "POST",
    "status": 201,
    "duration_ms": 12.5,
    "slug": "specimen-not-receivable",
    "channel": "AU680-1",
    "count": 300_000,
    "outcome": Outcome.HELD,
    "error": "OperationalError",
    "table": "lims.results_p202611",
    "version": "2026.11.24-3",
    "model": "autoverification",
    "sha256": "6789012345" * 6 + "abcd",
    "address": "127.0.0.1:28080",
    "signal": "SIGTERM",
    "job": "reports.render",
    "attempt": 3,
    "offset_ms": -12,
}


def test_what_operators_need_is_written_as_it_is(say: Say) -> None:
    line = say(**GOOD)

    for key, value in GOOD.items():
        assert line[key] == (value if isinstance(value, (int, float, str)) else str(value)), key
    assert "dropped" not in line


@settings(max_examples=300)
@given(st.text(max_size=20))
def test_an_id_is_never_taken_for_a_phone(name: str) -> None:
    value = str(uuid5(NAMESPACE_URL, name))

    assert telemetry._shaped("order_id", value) == value


def test_context_of_a_request_passes_the_same_locks(say: Say) -> None:
    with structlog.contextvars.bound_contextvars(request_id="Asha Rao", patient="Asha Rao"):
        line = say()

    assert line["request_id"] == MASKED
    assert line["dropped"] == ["patient"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_other_peoples_loggers_write_neither_message_nor_exception_text(say: Say, level: str) -> None:
    formatter = NoText()
    try:
        raise ValueError("Asha Rao 9876543210")
    except ValueError:
        record = logging.LogRecord(
            "sqlalchemy.pool", getattr(logging, level.upper()), __file__, 1, "row %s", ("Asha Rao",), sys.exc_info()
        )

    written = formatter.format(record)

    assert written.splitlines()[0] == f"{level.upper()} sqlalchemy.pool"
    assert "ValueError" in written
    assert "Asha" not in written
    assert "98765" not in written


PROGRAM = """
import logging, structlog
from lims_api.core.telemetry import configure_logs
configure_logs()
try:
    raise ValueError("Asha Rao 9876543210")
except ValueError:
    logging.getLogger("sqlalchemy.pool").exception("Asha Rao")
    logging.getLogger("_granian").error("Asha Rao", exc_info=True)
    logging.getLogger("granian.access").error("GET /v1/patients?name=Asha")
    logging.getLogger("procrastinate").error("Job(name='Asha')", exc_info=True)
    logging.error("Asha")
    structlog.get_logger().error("failed", exc_info=True, patient="Asha Rao")
"""


@pytest.mark.req("4.4.3")
def test_a_process_that_has_configured_its_logs_writes_no_name_anywhere() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )

    assert done.stdout == ""
    assert done.stderr.count("ValueError") == 4
    assert "ERROR granian.access" in done.stderr
    assert "Asha" not in done.stderr
    assert "98765" not in done.stderr


def test_masking_keeps_what_is_no_identity() -> None:
    kept = "26-000123 held: 4.5 mmol/L at 2026-11-24, 127.0.0.1:28080, 300000 rows"

    assert mask(kept) == kept


def test_a_moment_is_not_mistaken(say: Say) -> None:
    line = say(attempt=1)

    assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC
