"""Structured logs: one JSON object a line on standard error. Never a body, a name or a telephone number.

An exception's text can quote what it stumbled over, so only its type and its place are written.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

import structlog


def configure(level: str = "info") -> None:
    """Set the process's logging up; called once by the command line."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def fault(failure: BaseException) -> dict[str, str]:
    """What may be written of an exception: its type, and the file and line that raised it."""
    frames = traceback.extract_tb(failure.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return {"error": type(failure).__name__, "place": place}
