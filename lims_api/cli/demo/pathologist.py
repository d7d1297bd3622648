"""The example pathologist looks through the day's held results, as one does before the reports go out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lims_api.cli.demo.calling import Staff
from lims_api.results.autoverification import Reason

READ_AND_AUTHORISED = frozenset({Reason.OUTSIDE_REFERENCE_INTERVAL, Reason.MODEL_UNUSABLE})
"""Holds that a look at the value settles. An order with any other stays on the worklist: it wants a telephone, a second
tube or a second look, and whoever tries the demonstration finds it there."""
MOST_AT_ONCE = 500


def look_through(pathologist: Staff) -> int:
    """Authorise the orders that a look settles; how many results that were."""
    ids = settled(_held(pathologist))
    for start in range(0, len(ids), MOST_AT_ONCE):
        pathologist.post("/v1/results/authorise", {"result_ids": ids[start : start + MOST_AT_ONCE]})
    return len(ids)


def settled(held: Iterable[dict[str, Any]]) -> Sequence[str]:
    """Ids of the held results of those orders of which nothing is held for another reason."""
    orders: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in held:
        orders[item["order_id"]].append(item)
    return [
        item["id"]
        for items in orders.values()
        if all(set(item["reasons"]) <= READ_AND_AUTHORISED for item in items)
        for item in items
    ]


def _held(pathologist: Staff) -> Iterator[dict[str, Any]]:
    after = ""
    while after is not None:
        page = pathologist.get(f"/v1/results/held?after={after}" if after else "/v1/results/held")
        yield from page["items"]
        after = page["next"]
