"""What the demonstration does now, and how long each stage took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console

console = Console()


@dataclass
class Stages:
    """How long each stage took, in seconds; each is announced before it starts."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """Announce a stage, and say when it is done."""
        console.print(f"[bold]{what}[/bold] …")
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)
        console.print(f"  [green]done[/green] in {self.seconds[name]} s")
