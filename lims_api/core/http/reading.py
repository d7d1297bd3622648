"""A hot read: one statement behind the gate, in one round trip (core_spike.md §3)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from lims_api.core.access import SAW
from lims_api.core.db import Caller, refuse_unless_entered
from lims_api.core.errors import NotFound

_SHUT_DOWN = "57P"
"""How the server says that it ends a connection (57P01 and its neighbours); a cut line says nothing."""
_ENTER = "select status, organization_id from lims.enter(%s, %s, %s, %s, %s, %s)"


def read_row(caller: Caller, statement: str, params: Mapping[str, Any], *, action: str, whose: str) -> tuple[Any, ...]:
    """The first row of `statement`; the read is logged for the patient that `whose` selects. `NotFound` without one.

    A pipeline up to its sync is one implicit transaction, so what the gate sets holds for the statements behind it.
    Connections are not tried out before they are used, which would be a second round trip: on one that has died since,
    the read is made again on a fresh one.
    """
    try:
        return _read_row(caller, statement, params, action, whose)
    except OperationalError as error:
        if isinstance(error, PoolTimeout) or not (error.sqlstate or _SHUT_DOWN).startswith(_SHUT_DOWN):
            raise
        caller.database.reads.check()
        return _read_row(caller, statement, params, action, whose)


def _read_row(caller: Caller, statement: str, params: Mapping[str, Any], action: str, whose: str) -> tuple[Any, ...]:
    with caller.database.reads.connection() as connection:
        with connection.pipeline():  # one sync, at its end: fetching inside would add a round trip
            gate = connection.execute(
                _ENTER,
                (
                    caller.token_sha256,
                    caller.permission.value,
                    caller.device,
                    caller.ip,
                    caller.request_id,
                    caller.reason,
                ),
                prepare=True,
            )
            found = connection.execute(_logged(statement, whose), {**params, "action": action}, prepare=True)
        status, row = gate.fetchone(), found.fetchone()
    refuse_unless_entered(status[0] if status else 401, caller.permission)
    if row is None:
        raise NotFound("There is no such record in this organization.")
    return (*row, status[1] if status else None)


@lru_cache
def _logged(statement: str, whose: str) -> str:
    """The read and its line in the log of reads as one statement."""
    columns, _, rest = whose.partition(" from ")
    if not re.fullmatch(r"[\w., ]+", columns):
        raise ValueError("`whose` selects patient_id and subject_id")
    return f"with logged as ({SAW} %(action)s, {columns} from {rest}) {statement}"
