"""What a request costs at least here: FastAPI, one SELECT by key, no session, no security, no sealed field."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import anyio.to_thread
from fastapi import FastAPI, Request
from psycopg_pool import ConnectionPool


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = 4
    with ConnectionPool(os.environ["BARE_URL"], min_size=4, max_size=4, kwargs={"autocommit": True}) as pool:
        yield {"pool": pool}


app = FastAPI(lifespan=lifespan)


@app.get("/orders/{order_id}")
def get_order(order_id: UUID, request: Request) -> dict[str, Any]:
    with request.state.pool.connection() as connection:
        row = connection.execute(
            "select id, order_number, status, placed_at from lims.orders where organization_id = %s and id = %s",
            (os.environ["BARE_ORGANIZATION"], order_id), prepare=True,
        ).fetchone()  # fmt: skip
    return {"id": row[0], "order_number": row[1], "status": row[2], "placed_at": row[3]}
