"""The page that shows the app's parts by themselves, and how long a key takes there until it is painted."""

from __future__ import annotations

import functools
import http.server
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from lims_api.cli.web import npm

KEYSTROKES = 60
PAINTED = """
() => {
    const took = [];
    addEventListener("keydown", (event) => {
        const began = event.timeStamp;
        const channel = new MessageChannel();
        channel.port1.onmessage = () => took.push(performance.now() - began);
        requestAnimationFrame(() => channel.port2.postMessage(0));  // the first message after a frame: it is painted
    }, true);
    window.took = took;
}
"""


@contextmanager
def parts_page(folder: Path, port: int) -> Iterator[str]:
    """The page of `web/tests/page`, built into `folder` and served; its address."""
    assert npm("run", "--silent", "page", "--", "--outDir", str(folder), "--logLevel", "error") == 0

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_facts: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.shutdown()
        server.server_close()


def typed(page: Page) -> tuple[float, float]:
    """Median and 95th percentile in ms, from a key's own time stamp to the frame that shows it, where the focus is.

    The page has to watch: `page.evaluate(PAINTED)`.
    """
    page.evaluate("window.took.length = 0")
    for number in range(KEYSTROKES):
        page.keyboard.press("Enter" if number % 5 == 4 else str(number % 10))
        page.wait_for_timeout(40)
    took = page.evaluate("window.took")
    assert len(took) == KEYSTROKES
    return round(statistics.median(took), 1), round(statistics.quantiles(took, n=20)[-1], 1)
