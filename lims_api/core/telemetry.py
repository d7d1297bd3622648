"""Structured logs that cannot hold personal data, and every tool's own telemetry switched off.

Three locks: a line carries known keys alone; each key's value has a shape (an id, a number, a code) or is masked; and
whatever text is left is searched for phones, identity numbers, addresses and tokens.
"""

import logging
import logging.config
import os
import re
import sys
import unicodedata
from collections.abc import MutableMapping
from datetime import datetime
from functools import lru_cache
from types import TracebackType
from typing import Any
from uuid import UUID

import structlog
from pydantic_core import to_json

TELEMETRY_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}

MASKED = "[masked]"
_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{16,64}")
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,9})?")
_CODE = re.compile(r"[a-z0-9_/{<][a-z0-9_.:/{}<>@+-]{0,200}|(?=[A-Z-]*\d)[A-Z0-9-]{1,40}")
_NAME_IN_CODE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")

# fmt: off
_SHAPES: dict[str, re.Pattern[str]] = (
    dict.fromkeys(("request_id", "organization_id", "actor_id", "session_id", "order_id", "specimen_id", "result_id",
                   "report_id", "analyser_id", "message_id"), _ID)
    | dict.fromkeys(("status", "duration_ms", "count", "recorded", "parked", "held", "released", "attempt", "port",
                     "seconds", "rows", "offset_ms"), _NUMBER)
    | dict.fromkeys(("logger", "level", "route", "slug", "channel", "job", "queue", "outcome", "table", "version",
                     "stage", "partition", "model", "address"), _CODE)
    | dict.fromkeys(("error", "method", "signal"), _NAME_IN_CODE)
    | {"sha256": _DIGEST}
)
# fmt: on
ALLOWED = frozenset((*_SHAPES, "event", "timestamp", "exception"))
"""The keys a log line may carry; any other key's value is dropped and its name kept."""

_INDIA_MOBILE = r"(?:(?:\+|00)?91[\s.()\-]*|0)?[6-9](?:[\s.()\-]{0,3}\d){9}"
_MASKS = (
    re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*"),
    re.compile(rf"(?<!\d)\(?{_INDIA_MOBILE}(?!\d)"),
    re.compile(r"(?<!\d)\d{2}(?:[\s.-]?\d{4}){3}(?!\d)"),
    re.compile(r"(?<!\d)[2-9]\d{3}(?:[\s.-]?\d{4}){2}(?!\d)"),
    re.compile(r"(?<![A-Za-z])[A-Za-z]{5}\d{4}[A-Za-z](?![A-Za-z])"),
    re.compile(r"eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"),
)


def mask(text: str) -> str:
    """Replace what looks like an e-mail, phone, ABHA, Aadhaar, PAN or token; neutralise line breaks.

    Digits of any script become ASCII and invisible characters go first, so that neither hides a number.
    """
    if not text.isascii():
        text = "".join(_plain(character) for character in text)
    for pattern in _MASKS:
        text = pattern.sub(MASKED, text)
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _plain(character: str) -> str:
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.digit(character))
    return "" if unicodedata.category(character) == "Cf" else unicodedata.normalize("NFKC", character)


def _shaped(key: str, value: Any) -> Any:
    """The value, if it is what the key is for; else `[masked]`."""
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, (str, int, float, UUID, datetime)):
        return MASKED
    text = str(value)
    if _SHAPES[key] in (_ID, _DIGEST):
        return text if _SHAPES[key].fullmatch(text) else MASKED
    masked = _masked(key, text)
    return value if masked == text else masked


@lru_cache(maxsize=4096)
def _masked(key: str, text: str) -> str:
    """Routes, methods, levels and short numbers come again with every line."""
    return mask(text) if _SHAPES[key].fullmatch(text) else MASKED


def _allow_listed(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = [key for key in entry if key not in ALLOWED]
    for key in dropped:
        del entry[key]
    for key in entry:
        if key in _SHAPES:
            entry[key] = _shaped(key, entry[key])
    entry["event"] = _masked_event(entry["event"]) if isinstance(entry.get("event"), str) else MASKED
    if dropped:
        entry["dropped"] = sorted(key if re.fullmatch(r"[a-z_]{1,40}", key) else MASKED for key in dropped)
    return entry


@lru_cache(maxsize=256)
def _masked_event(text: str) -> str:
    return mask(text)


def _type_and_place(kind: type[BaseException], trace: TracebackType | None) -> str:
    """An exception's own text may quote a row; the log keeps its type and where it came from."""
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return "\n".join([kind.__name__, *frames[-12:]])


def _only_type_and_place(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    entry.pop("exception", None)
    exc_info = entry.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if isinstance(exc_info, tuple) and exc_info[0]:
        entry["exception"] = _type_and_place(exc_info[0], exc_info[2])
    return entry


def _json(entry: MutableMapping[str, Any], **_options: Any) -> str:
    return to_json(entry, fallback=lambda _value: MASKED).decode()


class NoText(logging.Formatter):
    """For other people's loggers: level and logger, an exception's type and place. Their messages may quote a row."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname} {record.name}"
        if record.exc_info and record.exc_info[0]:
            line += "\n" + _type_and_place(record.exc_info[0], record.exc_info[2])
        return line


def libraries_config() -> dict[str, Any]:
    """`logging.config.dictConfig` for libraries, also for the web server's own loggers (granian `log_dictconfig`)."""
    quiet = {"handlers": ["stderr"], "level": "WARNING", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"no_text": {"()": NoText}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "no_text", "stream": "ext://sys.stderr"}
        },
        "loggers": {"_granian": dict(quiet), "granian.access": dict(quiet)},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }


def configure_logs(level: str = "INFO") -> None:
    """JSON lines on stderr; call once at start."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_type_and_place,
            _allow_listed,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.config.dictConfig(libraries_config())


def switch_telemetry_off() -> None:
    """Before any of those tools is imported."""
    os.environ.update(TELEMETRY_OFF)
