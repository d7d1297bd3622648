"""One pull: the next page of the first load, or what changed since, as the body of the answer."""

import json
from collections.abc import Iterable, Mapping

from lims_api.core.access import saw_many
from lims_api.core.clock import utc_now
from lims_api.core.db import Caller, transaction
from lims_api.sync import cursor as cursors
from lims_api.sync.cursor import Cursor, Place
from lims_api.sync.delta import delta
from lims_api.sync.documents.part import Part
from lims_api.sync.first_load import load
from lims_api.sync.scope import scope_of


def pull(caller: Caller, text: str | None) -> bytes:
    """The answer to an app that stands at cursor `text`, all of one instant. Every patient in it is logged as read.

    The first load keeps the snapshot of its first page: what changes while its pages are fetched comes behind them.
    """
    with transaction(caller, isolation="REPEATABLE READ") as session:
        scope = scope_of(session)
        known = cursors.read(text, scope)
        part = delta(session, scope, known.snapshot) if known and known.place is None else None
        is_reset = part is None and (known is None or known.place is None)
        if part is not None:
            stands = Cursor(scope.snapshot)
        else:
            start = known if known and known.place else Cursor(scope.snapshot, Place())
            part, place = load(session, scope, start.place or Place())
            stands = Cursor(start.snapshot, place)
        saw_many(session, "sync.pull", list(part.patient_ids))
        return _body(part, cursors.write(stands, scope), is_reset=is_reset, more=stands.place is not None)


def _body(part: Part, cursor: str, *, is_reset: bool, more: bool) -> bytes:
    """The documents are JSON already."""
    facts = {
        "cursor": cursor, "reset": is_reset, "gone": part.gone, "more": more, "server_time": utc_now().isoformat(),
    }  # fmt: skip
    return (json.dumps(facts)[:-1] + ', "documents": ' + _object(part.documents) + "}").encode()


def _object(documents: Mapping[str, Iterable[str]]) -> str:
    kinds = (f"{json.dumps(kind)}: [{','.join(listed)}]" for kind, listed in documents.items() if listed)
    return "{" + ", ".join(kinds) + "}"
