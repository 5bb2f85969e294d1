"""The album as a download for TensorBoard's projector."""

from __future__ import annotations

import asyncio

from aiohttp import web

from stream_app.album import Album, Photo
from stream_app.contract.uploads import SIDES_PX
from stream_app.contract.workers import ProjectorRequest
from stream_app.in_time import in_time
from stream_app.projector import ProjectorExport
from stream_app.web.parameters import request_of
from stream_app.web.thumbnails import Thumbnails
from stream_app.web.zip_stream import zipped

FOLDER = "sightline-projector"


class ProjectorView:
    """The view of the whole album as vectors, words and thumbnails."""

    def __init__(self, album: Album, thumbnails: Thumbnails, *, pixels_max: int) -> None:
        self._album = album
        self._thumbnails = thumbnails
        self._pixels_max = pixels_max

    def routes(self) -> list[web.RouteDef]:
        """Every route of this view."""
        return [web.get("/api/projector.zip", self.download)]

    async def download(self, request: web.Request) -> web.Response:
        """The newest `count` photos and the `words` most frequent words; the thumbnails are made while it is sent."""
        asked = request_of(ProjectorRequest, request)
        points = await in_time(self._album.points(0, asked.count))
        vocabulary = await in_time(self._album.vocabulary())
        words = await asyncio.to_thread(vocabulary.frequent_answers, asked.words)
        export = ProjectorExport(points, words, vocabulary, self._thumbnail, pixels_max=self._pixels_max)
        return web.Response(
            body=zipped(export.files(), FOLDER),
            content_type="application/zip",
            headers={"Content-Disposition": f'attachment; filename="{FOLDER}.zip"', "Cache-Control": "no-store"},
        )

    async def _thumbnail(self, photo: Photo) -> bytes:
        async def original() -> bytes:
            return (await in_time(self._album.image(photo.photo_id)))[0]

        return await self._thumbnails.get(photo.photo_id, photo.time_ms, SIDES_PX[0], original)
