"""The web's side of core: who calls, what a write repeats, how a refusal looks."""

from lims_api.core.http.caller import CallerDependency as Caller
from lims_api.core.http.caller import requires
from lims_api.core.http.command import command
from lims_api.core.http.problem import install_problems
from lims_api.core.http.reading import read_row
from lims_api.core.http.request_log import RequestLog

__all__ = ["Caller", "RequestLog", "command", "install_problems", "read_row", "requires"]
