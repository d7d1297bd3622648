"""The web's side of core: who calls, what a write repeats, how a refusal looks."""

from lims_api.core.http.caller import CallerDependency as Caller
from lims_api.core.http.caller import requires
from lims_api.core.http.command import Answer, answer_once, command, keep_refusal
from lims_api.core.http.problem import install_problems, invalid_body, refusal_body, unavailable_body, unexpected_body
from lims_api.core.http.reading import read_row
from lims_api.core.http.request_log import RequestLog
from lims_api.core.http.staff_app import install_staff_app

__all__ = [
    "Answer",
    "Caller",
    "RequestLog",
    "answer_once",
    "command",
    "install_problems",
    "install_staff_app",
    "invalid_body",
    "keep_refusal",
    "read_row",
    "refusal_body",
    "requires",
    "unavailable_body",
    "unexpected_body",
]
