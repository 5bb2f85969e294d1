"""Numbers of this worker, for programs and for the page."""

from __future__ import annotations

from aiohttp import web

from stream_app.album import Album
from stream_app.contract.workers import BareRequest
from stream_app.in_time import in_time
from stream_app.web.parameters import request_of


class StatsView:
    """The view of the worker's numbers."""

    def __init__(self, album: Album, upload_bytes_max: int) -> None:
        self._album = album
        self._upload_bytes_max = upload_bytes_max

    def routes(self) -> list[web.RouteDef]:
        """Every route of this view."""
        return [web.get("/api/stats", self.stats)]

    async def stats(self, request: web.Request) -> web.Response:
        """`photos` is how many can be found; the page learns the upload limit from here."""
        request_of(BareRequest, request)
        numbers = {"upload_bytes_max": self._upload_bytes_max} | await in_time(self._album.stats())
        return web.json_response(numbers, headers={"Cache-Control": "no-store"})
