"""The page: plain HTML, CSS and JavaScript modules, read once and served with an ETag."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

STATIC_DIR = Path(__file__).parent / "static"
CONTENT_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class StaticFile:
    """One file of the page; `etag` is a hash of its bytes."""

    content_type: str
    body: bytes
    etag: str


class PageViews:
    """The page at / and its parts below /static/; only files that were there at the start exist."""

    def __init__(self, directory: Path = STATIC_DIR) -> None:
        self._files = {path.name: _read(path) for path in sorted(directory.iterdir()) if path.suffix in CONTENT_TYPES}

    def routes(self) -> list[web.RouteDef]:
        """Every route of the page."""
        return [
            web.get("/", self.index),
            web.get("/ops", self.operators),
            web.get("/static/{name}", self.part),
            web.get("/faust", self.faust_stats),
        ]

    async def faust_stats(self, request: web.Request) -> web.Response:
        """Faust's own page has its address with a slash only; people type it without."""
        raise web.HTTPPermanentRedirect("/faust/")

    async def index(self, request: web.Request) -> web.Response:
        """The page itself."""
        return self._reply(request, "index.html")

    async def operators(self, request: web.Request) -> web.Response:
        """The page for those who run it."""
        return self._reply(request, "ops.html")

    async def part(self, request: web.Request) -> web.Response:
        """A style sheet, a module or the icon."""
        return self._reply(request, request.match_info["name"])

    def _reply(self, request: web.Request, name: str) -> web.Response:
        file = self._files.get(name)
        if file is None:
            raise web.HTTPNotFound
        if any(each.value == file.etag for each in request.if_none_match or ()):
            reply = web.Response(status=304)
        else:
            reply = web.Response(body=file.body, content_type=file.content_type, charset="utf-8")
            reply.enable_compression()
        reply.etag = file.etag
        reply.headers["Cache-Control"] = "no-cache"
        return reply


def _read(path: Path) -> StaticFile:
    body = path.read_bytes()
    return StaticFile(CONTENT_TYPES[path.suffix], body, hashlib.sha256(body).hexdigest()[:20])
