from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from ingest.contract import BatchReceipt
from ingest.deliver import Conflicting, IdSpent, RefusedByCore, TryAgain, read_answer
from ingest.spool import PendingBatch
from tests.unit.ingest.transmissions import oru, received

AT = datetime(2026, 1, 23, 8, 45, tzinfo=UTC)
SINGLE = PendingBatch(uuid4(), AT, None, (received(oru("1")),))
PAIR = PendingBatch(uuid4(), AT, None, (received(oru("1")), received(oru("2"))))
PROBLEM = {"content-type": "application/problem+json; charset=utf-8"}


def refusal(status: int, slug: str = "unprocessable") -> httpx.Response:
    return httpx.Response(status, headers=PROBLEM, json={"type": f"https://docs.lims.example/errors/{slug}"})


def test_a_receipt_for_the_batch_is_read() -> None:
    receipt = BatchReceipt(batch_id=SINGLE.id, receipts=(), core_clock=AT)

    assert read_answer(httpx.Response(200, content=receipt.model_dump_json()), SINGLE) == receipt


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_the_cores_problem_document_refuses(status: int) -> None:
    with pytest.raises(RefusedByCore, match="errors/unprocessable"):
        read_answer(refusal(status), SINGLE)


@pytest.mark.parametrize(
    "answer",
    [
        *(refusal(status, "whatever") for status in (401, 403, 404, 405, 408, 425, 429, 500, 503)),
        httpx.Response(422, html="<p>a proxy</p>"),
        httpx.Response(422, headers=PROBLEM, content=b"not json"),
        httpx.Response(422, headers=PROBLEM, json={"type": "about:blank"}),
        httpx.Response(422, headers=PROBLEM, json=[]),
        httpx.Response(413, html="too large"),
        httpx.Response(302, headers={"location": "/elsewhere"}),
        httpx.Response(200, json={"hello": "world"}),
        httpx.Response(204),
        httpx.Response(200, content=BatchReceipt(batch_id=uuid4(), receipts=(), core_clock=AT).model_dump_json()),
    ],
)
def test_nothing_else_refuses(answer: httpx.Response) -> None:
    with pytest.raises(TryAgain):
        read_answer(answer, SINGLE)


def test_a_batch_that_is_too_large_for_a_proxy_is_refused_as_a_batch() -> None:
    with pytest.raises(RefusedByCore):
        read_answer(httpx.Response(413, html="too large"), PAIR)


def test_a_conflict_is_tried_again_and_a_spent_id_renewed() -> None:
    with pytest.raises(Conflicting):
        read_answer(refusal(409, "concurrent-delivery"), SINGLE)
    with pytest.raises(IdSpent):
        read_answer(refusal(409, "idempotency-key-reused"), SINGLE)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("9999", 60.0), ("soon", 0.0), ("-1", 0.0)])
def test_the_cores_wish_to_be_left_alone_is_heard_within_reason(header: str, seconds: float) -> None:
    with pytest.raises(TryAgain) as caught:
        read_answer(httpx.Response(503, headers={"retry-after": header}), SINGLE)

    assert caught.value.after == seconds
