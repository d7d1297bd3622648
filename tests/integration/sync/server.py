"""The API as a process of its own, on the tests' database: for tests that kill it.

`python -m tests.integration.sync.server <port> <database url> <keys url> <master key> <fuse>`. A fuse makes the process
kill itself (SIGKILL) at its n-th moment of a kind: `work:3` inside the third command's transaction, `commit:3` when the
third has committed and before it is answered, `refusal:1` between the first roll-back and the keeping of the refusal,
`refused:1` behind that, `answer:1` when half of the first push's answer is sent. Without one it lives.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lims_api.app import Services, build
from lims_api.core.db import open_database
from lims_api.core.keys import KeyStore
from lims_api.sync import push as pushing


def main(port: int, url: str, keys_url: str, master: str, fuse: str) -> None:
    """Serve until killed."""
    moment, _, count = fuse.partition(":")
    left = int(count or 0)

    def burns(now: str) -> None:
        nonlocal left
        if now == moment:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    done, worked, kept = pushing.answer_once, pushing._work, pushing.keep_refusal

    def answer_once(*given: Any, **more: Any) -> Any:
        answer = done(*given, **more)
        burns("commit")
        return answer

    def work(*given: Any) -> Any:
        reply = worked(*given)
        burns("work")
        return reply

    def keep_refusal(*given: Any) -> Any:
        burns("refusal")
        answer = kept(*given)
        burns("refused")
        return answer

    pushing.answer_once, pushing._work, pushing.keep_refusal = answer_once, work, keep_refusal  # type: ignore[assignment]
    database = open_database(url, KeyStore(keys_url, bytes.fromhex(master)))
    app = build(database, Services(models=None, files_folder=Path()))  # type: ignore[arg-type]
    uvicorn.run(Halving(app, burns), port=port, log_level="error")


class Halving:
    """Sends half of a push's answer, and asks the fuse."""

    def __init__(self, app: ASGIApp, burns: Any) -> None:
        self.app, self.burns = app, burns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            body = message.get("body", b"")
            if scope.get("path") == "/v1/sync/push" and body:
                await send(message | {"body": body[: len(body) // 2], "more_body": True})
                await asyncio.sleep(0.05)
                self.burns("answer")
                message = message | {"body": body[len(body) // 2 :]}
            await send(message)

        await self.app(scope, receive, answer)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:6])
