"""Structured logs that cannot hold personal data, and every tool's own telemetry switched off."""

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

TELEMETRY_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}

# fmt: off
ALLOWED = frozenset((
    "event", "level", "timestamp", "logger", "request_id", "organization_id", "actor_id", "session_id", "route",
    "method", "status", "duration_ms", "slug", "channel", "count", "recorded", "parked", "held", "released", "job",
    "queue", "attempt", "outcome", "port", "seconds", "table", "rows", "version", "stage", "error", "partition",
    "offset_ms", "order_id", "specimen_id", "result_id", "report_id", "analyser_id", "message_id", "model",
    "sha256", "address", "signal",
))
# fmt: on
"""The keys a log line may carry; any other key's value is dropped and its name kept."""

_MASKS = (
    re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"),
    re.compile(r"(?<!\w)(?:\+?91[\s-]?)?[6-9](?:[\s-]?\d){9}(?!\w)"),
    re.compile(r"(?<!\w)\d{2}-?\d{4}-?\d{4}-?\d{4}(?!\w)"),
    re.compile(r"(?<!\w)[2-9]\d{3}[\s-]?\d{4}[\s-]?\d{4}(?!\w)"),
    re.compile(r"(?<!\w)[A-Z]{5}\d{4}[A-Z](?!\w)"),
    re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"),
)


def mask(text: str) -> str:
    """Replace what looks like an e-mail, phone, ABHA, Aadhaar, PAN or token; neutralise line breaks."""
    for pattern in _MASKS:
        text = pattern.sub("[masked]", text)
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _allow_listed(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = [key for key in entry if key not in ALLOWED and key != "exception"]
    for key in dropped:
        del entry[key]
    for key, value in entry.items():
        if isinstance(value, str) and key not in ("timestamp", "exception"):
            entry[key] = mask(value)
    if "exception" in entry:
        entry["exception"] = "\n".join(mask(line) for line in str(entry["exception"]).splitlines())
    if dropped:
        entry["dropped"] = sorted(dropped)
    return entry


def _only_type_and_place(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception's own text may quote a row; the log keeps its type and where it came from."""
    exc_info = entry.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if exc_info and exc_info[0]:
        frames, trace = [], exc_info[2]
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f"{code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        entry["exception"] = "\n".join([exc_info[0].__name__, *frames[-12:]])
    return entry


def configure_logs(level: str = "INFO") -> None:
    """JSON lines on stderr; call once at start."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_type_and_place,
            _allow_listed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s")


def switch_telemetry_off() -> None:
    """Before any of those tools is imported."""
    os.environ.update(TELEMETRY_OFF)
