"""Another program of ours as somebody to ask: a line of JSON in, a line of JSON out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from pydantic_core import from_json, to_json

from lims_api.lineage.ports import NoAnswer


class Asked:
    """`lims …` running behind pipes: what it is asked and what it answers is in no argument, file or environment."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "lims_api.cli", *words]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, question: Mapping[str, Any]) -> Any:
        """One answer to one question; `NoAnswer` once the program has ended."""
        assert self._process.stdin is not None  # noqa: S101  a pipe
        assert self._process.stdout is not None  # noqa: S101  a pipe
        try:
            self._process.stdin.write(to_json(question) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise NoAnswer from None
        line = self._process.stdout.readline()
        if not line:
            raise NoAnswer
        return from_json(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No more questions: it ends by itself."""
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
