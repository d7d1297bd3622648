"""The staff's app, as it was built, below `/app/`: files with names by their content for ever, the page itself fresh.

The app's own addresses (`/app/receive`) are no files: each gets the page, which shows what belongs there. Every answer
carries a policy under which the browser runs and fetches nothing but what this server gives.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
}
FOR_EVER, FRESH = "public, max-age=31536000, immutable", "no-cache"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""What a build consists of; a file of another kind is not served."""
CODINGS = (("br", ".br"), ("gzip", ".gz"))
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Nidan</title>
<h1>The staff's app is not built</h1><p>Run <code>make setup</code> in the project's folder, and load this again.</p>
<p>The API itself runs: <a href="/docs">its documentation</a>.</p></html>"""


def install_staff_app(app: FastAPI, folder: Path) -> None:
    """Serve the build in `folder`, now or as soon as there is one; `/` leads there."""

    async def staff_app(request: Request) -> Response:
        return _file(folder.resolve(), request.path_params["path"], request.headers.get("accept-encoding", ""))

    async def entrance(_request: Request) -> Response:
        return RedirectResponse("/app/")

    app.router.routes += [
        Route("/", entrance, include_in_schema=False),
        Route("/app", entrance, include_in_schema=False),
        Route("/app/{path:path}", staff_app, include_in_schema=False),
    ]


def _file(folder: Path, path: str, accepted: str) -> Response:
    """The file of this path; the page for an address of the app; 404 for a file that is not there."""
    wanted = (folder / path).resolve()
    if not (wanted.is_relative_to(folder) and wanted.suffix in TYPES and wanted.is_file()):
        if path.startswith("assets/") or Path(path).suffix in TYPES:
            return Response("There is no such file.", 404, HEADERS, "text/plain")
        wanted = folder / "index.html"
    if not wanted.is_file():
        return HTMLResponse(NOT_BUILT, 503, HEADERS | {"Cache-Control": "no-store"})
    cached = FOR_EVER if wanted.is_relative_to(folder / "assets") else FRESH
    headers = HEADERS | {"Cache-Control": cached, "Vary": "Accept-Encoding"}
    codings = {coding.split(";")[0].strip() for coding in accepted.split(",") if not coding.endswith(";q=0")}
    for coding, suffix in CODINGS:
        packed = wanted.with_name(wanted.name + suffix)
        if coding in codings and packed.is_file():
            return FileResponse(packed, headers=headers | {"Content-Encoding": coding}, media_type=TYPES[wanted.suffix])
    return FileResponse(wanted, headers=headers, media_type=TYPES[wanted.suffix])
